"""What somebody who may not export contacts sees of a phone or an e-mail: its ends."""

from collections.abc import Iterable

from shared_events.contacts.contact import Contact

from crm_contacts.custom_fields.models import CustomField

_SHOWN = 4


def masked(contact: Contact, definitions: Iterable[CustomField]) -> Contact:
    """The contact without what reaches it: phone, e-mail and custom fields defined as such."""
    custom = dict(contact.custom_fields)
    for one in definitions:
        value = custom.get(one.key)
        if isinstance(value, str) and one.type in ("phone", "email"):
            custom[one.key] = phone(value) if one.type == "phone" else email(value)
    name = contact.name  # who never said a name is called by the phone or the e-mail
    if contact.phone is not None and name == contact.phone:
        name = phone(name)
    elif contact.email is not None and name == contact.email:
        name = email(name)
    return contact.model_copy(
        update={
            "name": name,
            "phone": contact.phone and phone(contact.phone),
            "email": contact.email and email(contact.email),
            "custom_fields": custom,
            "identities": [],
        }
    )


def phone(number: str) -> str:
    """A number's country and last digits: `+55*******0001`."""
    head, tail = number[:3], number[-_SHOWN:]
    hidden = len(number) - len(head) - len(tail)
    return f"{head}{'*' * hidden}{tail}" if hidden > 0 else "*" * len(number)


def email(address: str) -> str:
    """An address's first letter and domain: `m***@example.com`."""
    name, _, domain = address.partition("@")
    return f"{name[:1]}***@{domain}"

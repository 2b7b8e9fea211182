"""What contacts are found and sorted by: text without case and accents."""

import unicodedata
from collections.abc import Iterator
from typing import Any

from service_kit.search import fold, searchable
from shared_events.identity import WhatsAppId, spellings

from crm_contacts.contacts.models import Contact

SORT_NAME_LENGTH = 64
"""Characters of the folded name that order a list; more would not fit into a cursor."""
SEARCH_LENGTH = 4096
"""Characters of what a contact is found by: of large custom fields the end is not looked at."""


def derive(contact: Contact) -> Contact:
    """The contact with the columns that follow from its others."""
    return contact.model_copy(
        update={
            "sort_name": fold(contact.name)[:SORT_NAME_LENGTH],
            "search_text": search_text(contact),
            "tag_keys": sorted({tag_key(tag) for tag in contact.tags}),
        }
    )


def search_text(contact: Contact) -> str:
    """Name, phone in any spelling, e-mail, tags and the texts and numbers of custom fields."""
    said = (contact.name, contact.phone, contact.email, *_spelled(contact.phone), *contact.tags)
    return searchable(*said, *_texts(contact.custom_fields))[:SEARCH_LENGTH]


def _spelled(phone: str | None) -> Iterator[str]:
    """The other ways to write a number, such as a Brazilian one without its ninth digit."""
    digits = (phone or "").removeprefix("+")
    return (one for one in spellings(WhatsAppId("phone", digits)) if digits and digits not in one)


def _texts(custom_fields: dict[str, Any]) -> Iterator[str]:
    for value in custom_fields.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str | int | float) and not isinstance(one, bool):
                yield str(one)


def tag_key(tag: str) -> str:
    """Two tags with one key are the same tag, in either form in which Unicode writes accents."""
    return unicodedata.normalize("NFC", tag.casefold())

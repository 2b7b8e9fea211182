"""What contacts are found and sorted by: text without case and accents."""

from service_kit.search import fold, searchable

from crm_contacts.contacts.models import Contact

SORT_NAME_LENGTH = 64
"""Characters of the folded name that order a list; more would not fit into a cursor."""


def derive(contact: Contact) -> Contact:
    """The contact with the columns that follow from its others."""
    return contact.model_copy(
        update={
            "sort_name": fold(contact.name)[:SORT_NAME_LENGTH],
            "search_text": searchable(contact.name, contact.phone, contact.email),
            "tag_keys": sorted({tag_key(tag) for tag in contact.tags}),
        }
    )


def tag_key(tag: str) -> str:
    """Two tags with one key are the same tag."""
    return tag.casefold()

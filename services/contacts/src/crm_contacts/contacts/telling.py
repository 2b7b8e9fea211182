"""What is told of a contact that changed."""

from collections.abc import Collection, Iterator

from shared_events.contacts.contact import Contact, ContactRestored, ContactUpdated
from shared_events.envelope import EventData


def told_of(contact: Contact, changed: Collection[str]) -> Iterator[EventData]:
    """One event of the change, and one more for who was deleted and is back."""
    yield ContactUpdated(contact=contact, changed=sorted(changed))
    if "deleted_at" in changed:
        yield ContactRestored(contact=contact)

"""Every event about a contact becomes one entry of its timeline."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.rows import Rows
from shared_events.contacts.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactIdentityReleased,
    ContactRestored,
    ContactUpdated,
)
from shared_events.contacts.merge import ContactMerged, ContactUnmerged
from shared_events.contacts.note import NoteAdded, NoteDeleted, NoteUpdated
from shared_events.contacts.opt_out import ContactOptedIn, ContactOptedOut
from shared_events.contacts.pipeline import ContactPipelineStatusChanged
from shared_events.contacts.tracking import TrackingCreated
from shared_events.envelope import EventData
from shared_events.messaging.call import CallEvent
from shared_events.messaging.label import LabelEvent
from shared_events.messaging.session import SessionEvent

from crm_contacts.timeline.models import ContactEvent

_ENTRIES = Rows(ContactEvent)
_OF_SESSION = {"id", "channel_id", "assigned_agent_id", "end_reason", "total_messages"}


async def on_contact_event(tx: Transaction, events: Sequence[Event[Any]]) -> None:
    """Write down what happened, each event once (its id is the entry's), whosever it is.

    What happens to a group happens to no contact.
    """
    entries = [_entry_of(event, whose) for event in events if (whose := _contact_of(event))]
    await _ENTRIES.insert(tx, entries)


def _entry_of(event: Event[Any], contact_id: UUID) -> ContactEvent:
    category, title, payload = _entry(event.data)
    return ContactEvent.model_construct(
        id=event.body.event_id,
        tenant_id=event.tenant_id,
        contact_id=contact_id,
        type=event.body.event_type,
        category=category,
        title=title,
        payload=payload,
        occurred_at=event.body.occurred_at,
    )


def _contact_of(event: Event[Any]) -> UUID | None:
    """Most are of the contact itself; sessions, calls and labels tell whose they are."""
    if isinstance(event.data, SessionEvent):
        return event.data.session.contact_id
    if isinstance(event.data, CallEvent):
        return event.data.call.contact_id
    if isinstance(event.data, LabelEvent):
        return event.data.contact.id if event.data.contact else None
    contact_id: UUID = event.body.aggregate_id
    return contact_id


def _entry(data: EventData) -> tuple[str, str, dict[str, Any]]:
    """Category, title and payload. The payload holds what changed, not the whole contact."""
    match data:
        case ContactCreated(contact=contact):
            shown = contact.model_dump(mode="json", include={"name", "phone", "source"})
            return "general", "Contact created", shown
        case ContactUpdated(contact=contact, changed=changed):
            new = contact.model_dump(mode="json", include=set(changed))
            title = f"Contact changed: {', '.join(changed)}"[:255]
            return "general", title, {"changed": changed, "new": new}
        case ContactDeleted():
            return "general", "Contact deleted", {}
        case ContactRestored():
            return "general", "Contact restored", {}
        case ContactIdentityLinked(identity=identity):
            return "general", "WhatsApp identity linked", identity.model_dump(mode="json")
        case ContactIdentityReleased(identity=identity):
            return "general", "Mistyped number taken off", identity.model_dump(mode="json")
        case ContactMerged(loser=loser):
            shown = loser.model_dump(mode="json", include={"id", "name", "phone", "source"})
            return "general", "Merged with another contact", {"loser": shown}
        case ContactUnmerged(loser=loser):
            shown = loser.model_dump(mode="json", include={"id", "name", "phone", "source"})
            return "general", "Parted from a merged contact", {"loser": shown}
        case ContactPipelineStatusChanged():
            return (
                "pipeline",
                "Moved in a pipeline",
                data.model_dump(mode="json", exclude={"contact"}),
            )
        case ContactOptedOut(opt_out=opt_out):
            shown = opt_out.model_dump(mode="json", include={"channel_id", "reason", "source"})
            return "general", "Opted out of messages", shown
        case ContactOptedIn(channel_id=channel_id):
            return "general", "Opted in to messages", {"channel_id": str(channel_id)}
        case NoteAdded(note=note):
            shown = note.model_dump(mode="json", include={"id", "type", "priority", "author_id"})
            return "note", "Note added", shown
        case NoteUpdated(note=note, changed=changed):
            return "note", "Note changed", {"id": str(note.id), "changed": changed}
        case NoteDeleted(note_id=note_id):
            return "note", "Note deleted", {"id": str(note_id)}
        case TrackingCreated(tracking=tracking):
            shown = tracking.model_dump(mode="json", exclude={"contact_id"}, exclude_none=True)
            return "tracking", f"Came by {tracking.source}", shown
        case SessionEvent(session=session):
            shown = session.model_dump(mode="json", include=_OF_SESSION, exclude_none=True)
            return "session", data.description(), shown
        case CallEvent(call=call):
            shown = call.model_dump(mode="json", exclude={"contact_id"}, exclude_none=True)
            return "call", data.description(), shown
        case LabelEvent(label=label):
            where = {"conversation_id", "changed_at"}
            shown = data.model_dump(mode="json", include=where, exclude_none=True)
            shown |= {"label": label.model_dump(mode="json"), "channel_id": str(data.channel.id)}
            return "label", data.description(), shown
        case _:
            return "general", data.description(), {}

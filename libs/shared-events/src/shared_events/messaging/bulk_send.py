"""Bulk sends: one message to many contacts, a job (docs/adr/0031)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.jobs import Detail, Job, JobAction
from shared_events.messaging.message import MessageContent
from shared_events.requests import Command, ListQuery, Moment, Query

MAX_IDS = 1000
"""Contacts that a request names by their ids."""
MAX_RECIPIENTS = 100_000
"""Contacts of a list that one bulk send goes to."""


class BulkSend(Job):
    """A message to many contacts. `done` are those it is over with: WhatsApp has their message, or
    never will; `errors` are the latter. Nothing begins before `send_at`.
    """

    channel_id: UUID
    list_id: UUID | None = None
    content_type: bounds.Word
    send_at: Moment | None = None


class BulkRecipient(Contract):
    """One of the contacts, and how far the message to it is.

    `status` is `pending`, `cancelled` (it was ended before their turn), `refused` (`code` and
    `detail` say why), for which there is no message; or the status of the message.
    """

    contact_id: UUID
    status: bounds.Word
    message_id: UUID | None = None
    code: bounds.ErrorCode | None = None
    detail: Detail | None = None


class SendInBulk(MessageContent, Command[BulkSend], key="messaging.bulk.send"):
    """Send a message to the contacts on a list, or to these: one of both is given.

    Each gets it once, one after the other, as fast as the channel sends; what people write in
    between goes first. Who opted out is left out. Who is on a list is looked up when it begins:
    now, or at `send_at`, at most 90 days ahead.
    """

    channel_id: UUID
    list_id: UUID | None = None
    contact_ids: Annotated[list[UUID], Field(max_length=MAX_IDS)] = Field(default_factory=list)
    send_at: Moment | None = None


class GetBulkSend(Query[BulkSend], key="messaging.bulk.get"):
    """How far a bulk send is."""

    bulk_send_id: UUID


class DriveBulkSend(Command[BulkSend], key="messaging.bulk.drive"):
    """Hold a bulk send, let it go on, or end it. What the channel has already is sent."""

    bulk_send_id: UUID
    action: JobAction


class ListBulkRecipients(ListQuery[BulkRecipient], key="messaging.bulk.list_recipients"):
    """What became of each contact, in the order they are written to."""

    bulk_send_id: UUID


class BulkSendProgressed(EventData, type="bulk.progressed", aggregate="bulk_send", public=True):
    """A bulk send began, got a tenth further, changed its state, or ended."""

    job: BulkSend


class BulkRecipientsWanted(EventData, type="bulk.recipients_wanted", aggregate="bulk_send"):
    """Who is on the list shall be told, from `cursor` on: a page of it."""

    bulk_send_id: UUID
    list_id: UUID
    cursor: bounds.Cursor | None = None

"""Opt-outs: who wants no messages, on one channel or on all (docs/architecture.md, "Consent")."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery, Nothing

OptOutSource = Literal["agent", "api", "import"]
Channel = UUID | Literal["all"]
"""A channel, or all of the company's: those that come later, too."""


class OptOut(Contract):
    """A contact wants no messages on a channel."""

    contact_id: UUID
    channel_id: Channel
    reason: bounds.Reason | None = None
    source: bounds.Word
    opted_out_by: UUID | None = None
    opted_out_at: datetime


class ListOptOuts(ListQuery[OptOut], key="contacts.consent.list"):
    """Where a contact wants no messages; an empty list where it wants them everywhere."""

    contact_id: UUID


class PutOptOut(Command[OptOut], key="contacts.consent.put"):
    """Send a contact no more messages on a channel, or on `all`; again replaces reason and source.

    The source is who asks, an `agent` or the `api`, unless another is given.
    """

    contact_id: UUID
    channel_id: Channel
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    source: OptOutSource | None = Field(default=None)


class RemoveOptOut(Command[Nothing], key="contacts.consent.remove"):
    """Let a contact be sent messages on a channel again. An opt-out of `all` stays unless named."""

    contact_id: UUID
    channel_id: Channel


class ContactOptedOut(EventData, type="contact.opted_out", aggregate="contact", public=True):
    """A contact wants no messages on a channel, or on `all`, or for another reason than before."""

    opt_out: OptOut


class ContactOptedIn(EventData, type="contact.opted_in", aggregate="contact", public=True):
    """A contact may be sent messages on a channel again; `all` is another opt-out."""

    contact_id: UUID
    channel_id: Channel

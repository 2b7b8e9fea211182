"""Erasures: what becomes of a person who asks to be forgotten (docs/adr/0022)."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.contacts.contact import Identity
from shared_events.envelope import Contract, EventData
from shared_events.erasing import Counts, ErasureReport
from shared_events.requests import Command, Nothing, Query

ErasureState = Literal["requested", "running", "done"]
HoldReason = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ErasedBy(Contract):
    """A service's part of an erasure: what it removed, and since when it holds nothing."""

    name: bounds.Word
    done_at: datetime | None = None
    erased: Counts = Field(default_factory=dict)


class Erasure(Contract):
    """The erasure of a contact, and its certificate once it is `done`."""

    id: UUID
    contact_id: UUID
    state: ErasureState
    requested_by: UUID | None = None
    requested_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    done_at: datetime | None = None
    services: list[ErasedBy] = Field(default_factory=list)
    version: int


class LegalHold(Contract):
    """Why a contact must not be erased."""

    contact_id: UUID
    reason: bounds.Reason
    placed_by: UUID | None = None
    placed_at: datetime


class RequestErasure(Command[Erasure], key="contacts.erasure.request"):
    """Ask for everything about a contact to be erased; nothing is before somebody approves."""

    contact_id: UUID


class ApproveErasure(Command[Erasure], key="contacts.erasure.approve"):
    """Have it done, for good. Another admin than who asked, where there is another."""

    erasure_id: UUID


class GetErasure(Query[Erasure], key="contacts.erasure.get"):
    """Read an erasure: how far it is, and what was erased where."""

    erasure_id: UUID


class PlaceLegalHold(Command[LegalHold], key="contacts.hold.place"):
    """Keep a contact from being erased, and say why; a second reason takes the first's place."""

    contact_id: UUID
    reason: HoldReason


class GetLegalHold(Query[LegalHold], key="contacts.hold.get"):
    """Read why a contact must not be erased."""

    contact_id: UUID


class LiftLegalHold(Command[Nothing], key="contacts.hold.lift"):
    """Let a contact be erased again."""

    contact_id: UUID


class ContactErased(EventData, type="contact.erased", aggregate="contact", public=True):
    """A contact was erased: nothing about it is kept."""

    contact_id: UUID
    erasure_id: UUID


class ForgottenIdentity(Identity):
    """What to look for. Whoever is shown by it from now on is another contact: this one."""

    next_contact_id: UUID


class ErasureStarted(EventData, type="erasure.started", aggregate="contact"):
    """These services are to erase a person, and to say so.

    What was told before `erased_at` is the erased person's, whenever it arrives. `merged` are the
    contacts that were merged into this one: the same person. `aggregates` are those whose events
    are of that person alone, and do not say so.
    """

    erasure_id: UUID
    contact_id: UUID
    merged: list[UUID] = Field(default_factory=list, max_length=1000)
    services: list[bounds.Word]
    identities: list[ForgottenIdentity] = Field(default_factory=list)
    aggregates: list[UUID] = Field(default_factory=list, max_length=1000)
    erased_at: datetime


class ErasedByContacts(ErasureReport, type="erasure.done_by_contacts"):
    """Contacts holds nothing of an erased person any more."""

"""Recoveries: what an endpoint did not take is queued again, all of it since some time."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared_events.envelope import Contract
from shared_events.requests import Command, Moment, Query


class Recovery(Contract):
    """A job that queues deliveries again, `total` of them; `done` are queued so far.

    `has_more` says that more have failed than one job takes: start another when this is done.
    """

    id: UUID
    endpoint_id: UUID
    since: datetime
    state: Literal["running", "done"]
    total: int
    done: int
    has_more: bool
    created_at: datetime
    updated_at: datetime


class Recover(Command[Recovery], key="webhooks.recovery.start"):
    """Queue again what was given up since then and not redelivered, in the order of the events.

    Each is a delivery of its own with the full retry schedule and the same webhook-id.
    """

    endpoint_id: UUID
    since: Moment


class GetRecovery(Query[Recovery], key="webhooks.recovery.get"):
    """How far a recovery is."""

    recovery_id: UUID

"""Recoveries: what an endpoint did not take is queued again, all of it since some time.

And replays: everything it was owed in a range is, taken or not."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared_events.envelope import Contract
from shared_events.requests import Command, Moment, Query


class Recovery(Contract):
    """A job that queues deliveries again, `total` of them; `done` are queued so far.

    `has_more` says that there were more than one job takes: start another when this is done. One
    with `until` is a replay.
    """

    id: UUID
    endpoint_id: UUID
    since: datetime
    until: datetime | None = None
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


class Replay(Command[Recovery], key="webhooks.recovery.replay"):
    """Queue again everything that an endpoint was first owed in a range, taken or not.

    From `since` on and before `until`, each event once, in their order, as a delivery of its own
    with the same webhook-id. What it is owed still is left alone.
    """

    endpoint_id: UUID
    since: Moment
    until: Moment


class GetRecovery(Query[Recovery], key="webhooks.recovery.get"):
    """How far a recovery or a replay is."""

    recovery_id: UUID

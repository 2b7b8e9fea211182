"""Who has which session, as far as the log was told: whose events are whose.

An agent that sees only its own (`Principal.own_only`) sees the events of sessions it has, or nobody
has, by what is known now: those of before an assignment go with it. Of a session nobody has told of
yet it sees none.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_webhooks.event_log.models import LoggedEvent, SessionHolder

_HOLDERS = Rows(SessionHolder)
_SESSION_EVENTS = "session."

SEEN = """
    AND CASE aggregate_type
        WHEN 'session' THEN (SELECT h.agent_id IS NULL OR h.agent_id = {me}
            FROM session_holders AS h
            WHERE h.tenant_id = $1 AND h.session_id = aggregate_id LIMIT 1)
        WHEN 'conversation' THEN payload ->> 'read_by' = {me}::text
        ELSE true END
"""
"""What an event of the log must meet; `{me}` is the place of who asks. One look into an index for
each event: with EXISTS all of the table might be read."""


async def follow(tx: Transaction, events: Iterable[LoggedEvent]) -> None:
    """Note who has the sessions that these events tell of, the newest of each by its version.

    One that does not say it is logged all the same, and seen by who sees all.
    """
    newest: dict[tuple[str, UUID], SessionHolder] = {}
    for event in events:
        if not event.event_type.startswith(_SESSION_EVENTS):
            continue
        try:
            holder = _holder(event.tenant_id, event.payload["session"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        key = holder.tenant_id, holder.session_id
        if key not in newest or newest[key].version < holder.version:
            newest[key] = holder
    if newest:
        await _HOLDERS.upsert(tx, newest.values(), newest="version")


def _holder(tenant_id: str, session: dict[str, Any]) -> SessionHolder:
    agent = session.get("assigned_agent_id")
    return SessionHolder(
        tenant_id=tenant_id,
        session_id=UUID(session["id"]),
        agent_id=UUID(agent) if agent else None,
        version=int(session["version"]),
    )

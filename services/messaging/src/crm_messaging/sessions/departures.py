"""Sessions of agents who work here no more go back to nobody, a batch at a time.

What is left to do is not written down: it is the active sessions of inactive agents. So whoever
comes next goes on, in any process, however far the last one came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Database, Transaction
from service_kit.rows import Shape

from crm_messaging.sessions import assigning
from crm_messaging.sessions.assigning import Assignment
from crm_messaging.sessions.repository import SESSIONS, resource

BATCH = 200
# One look into the index of held sessions for each of those who left (docs/adr/0017).
_LEFT = """
SELECT a.tenant_id, a.agent_id FROM agent_refs AS a
CROSS JOIN LATERAL (SELECT id FROM sessions WHERE tenant_id = a.tenant_id
    AND assigned_agent_id = a.agent_id AND status = 'active' LIMIT 1) AS s
WHERE NOT a.active LIMIT $1
"""
# Nobody of them comes back meanwhile. Who is told of a message now has its session next time:
# nobody waits for a lock here. The last look names a row by its id alone, see docs/adr/0017.
_TAKE = """
WITH gone AS MATERIALIZED (
    SELECT a.tenant_id, a.agent_id FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, agent_id)
    CROSS JOIN LATERAL (SELECT tenant_id, agent_id FROM agent_refs
        WHERE tenant_id = k.tenant_id AND agent_id = k.agent_id AND NOT active
        LIMIT 1 FOR SHARE SKIP LOCKED) AS a),
theirs AS MATERIALIZED (
    SELECT s.*, gone.agent_id FROM gone CROSS JOIN LATERAL (
        SELECT id, tenant_id, channel_id, contact_id FROM sessions WHERE tenant_id = gone.tenant_id
            AND assigned_agent_id = gone.agent_id AND status = 'active' LIMIT $3) AS s
    ORDER BY s.channel_id, s.contact_id LIMIT $3)
SELECT s.*, theirs.agent_id FROM theirs CROSS JOIN LATERAL (SELECT * FROM sessions
    WHERE id = theirs.id AND tenant_id = theirs.tenant_id LIMIT 1 FOR UPDATE SKIP LOCKED) AS s
"""


@dataclass(frozen=True, slots=True)
class Leaver:
    """Somebody who was deactivated and has sessions."""

    tenant_id: str
    agent_id: UUID


_LEAVERS = Shape(Leaver)


async def once(database: Database) -> tuple[int, bool]:
    """Take a batch of sessions from those who left, of whatever companies.

    Returns how many, and whether there was more to do than was done.
    """
    async with database.system("sweep") as tx:
        leavers = await _LEAVERS.find(tx, _LEFT, BATCH)
    if not leavers:
        return 0, False
    async with database.tenants(sorted({leaver.tenant_id for leaver in leavers})) as tx:
        return await take(tx, leavers), True


async def take(tx: Transaction, leavers: Sequence[Leaver]) -> int:
    """Take a batch of sessions from these, if they are still gone; returns how many."""
    found = await tx.fetch(
        _TAKE, [one.tenant_id for one in leavers], [one.agent_id for one in leavers], BATCH
    )
    taken = [
        Assignment(row.tenant_id, resource(row), None, "agent_deactivated")
        for row, agent_id in ((SESSIONS.value(record), record["agent_id"]) for record in found)
        if row.status == "active" and row.assigned_agent_id == agent_id  # as the lock found it
    ]
    if taken:
        await assigning.assign(tx, taken)
    return len(taken)

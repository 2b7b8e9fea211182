"""Sessions that nobody has come to agents by themselves, where a company has it so.

Who distributes a company's holds its row of `company_refs` until the commit: so there is one at a
time, in whatever process, and nobody is given more than the company allows. What people assign is
not bounded. Rows are locked in this order: company, agents, sessions, conversations.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service_kit.database import Database, Transaction
from service_kit.rows import Shape

from crm_messaging.replicas.models import CompanyRef
from crm_messaging.replicas.repository import COMPANIES
from crm_messaging.sessions import assigning
from crm_messaging.sessions.assigning import Assignment
from crm_messaging.sessions.models import Session
from crm_messaging.sessions.repository import SESSIONS, resource
from crm_messaging.sessions.sharing import Load, share

COMPANIES_AT_ONCE = 20
SESSIONS_AT_ONCE = 50
"""Of each company."""

# One whose role nobody has told of yet may be an agent. The count stops where there is no room.
_ROOM = """
SELECT a.agent_id, held.sessions FROM agent_refs AS a
CROSS JOIN LATERAL (SELECT count(*)::int AS sessions FROM (SELECT id FROM sessions
    WHERE tenant_id = a.tenant_id AND assigned_agent_id = a.agent_id AND status = 'active'
    LIMIT c.sessions_per_agent) AS one) AS held
WHERE a.tenant_id = c.tenant_id AND a.active AND coalesce(a.role, 'agent') = 'agent'
    AND held.sessions < c.sessions_per_agent
"""
_FREE = """
SELECT id, channel_id, contact_id, started_at FROM sessions
WHERE tenant_id = c.tenant_id AND status = 'active' AND assigned_agent_id IS NULL
"""
# Those with a session for somebody and somebody for a session.
_NEEDY = f"""
SELECT c.tenant_id FROM company_refs AS c
CROSS JOIN LATERAL ({_FREE} LIMIT 1) AS s CROSS JOIN LATERAL ({_ROOM} LIMIT 1) AS a
WHERE c.auto_assignment <> 'off' LIMIT $1
"""  # noqa: S608 - our own text
_HOLD = """
SELECT c.* FROM (SELECT tenant_id FROM unnest($1::text[]) AS k(tenant_id) ORDER BY 1) AS k
CROSS JOIN LATERAL (SELECT * FROM company_refs WHERE tenant_id = k.tenant_id
    LIMIT 1 FOR UPDATE SKIP LOCKED) AS c
"""
_THESE = """
unnest($1::text[], $2::int[]) AS c(tenant_id, sessions_per_agent)
"""
# Nobody of them is deactivated meanwhile.
_AGENTS = f"""
SELECT c.tenant_id, a.* FROM {_THESE} CROSS JOIN LATERAL ({_ROOM} OFFSET 0) AS a
CROSS JOIN LATERAL (SELECT true FROM agent_refs WHERE tenant_id = c.tenant_id
    AND agent_id = a.agent_id AND active LIMIT 1 FOR SHARE SKIP LOCKED) AS held
"""  # noqa: S608 - our own text
# Who is told of a message now has its session next time. The last look names a row by its id alone,
# see docs/adr/0017.
_SESSIONS = f"""
WITH oldest AS MATERIALIZED (
    SELECT c.tenant_id, s.* FROM {_THESE}
    CROSS JOIN LATERAL ({_FREE} ORDER BY started_at, id LIMIT {SESSIONS_AT_ONCE}) AS s
    ORDER BY s.channel_id, s.contact_id)
SELECT s.* FROM oldest CROSS JOIN LATERAL (SELECT * FROM sessions
    WHERE id = oldest.id AND tenant_id = oldest.tenant_id LIMIT 1 FOR UPDATE SKIP LOCKED) AS s
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class _Needy:
    tenant_id: str


@dataclass(frozen=True, slots=True)
class _Free(Load):
    """An agent that may be given more."""

    tenant_id: str


_NEEDY_ONES, _FREE_ONES = Shape(_Needy), Shape(_Free)


async def once(database: Database) -> tuple[int, bool]:
    """Give sessions of some companies to their agents.

    Returns how many, and whether there was something to do.
    """
    async with database.system("sweep") as tx:
        needy = await _NEEDY_ONES.find(tx, _NEEDY, COMPANIES_AT_ONCE)
    if not needy:
        return 0, False
    async with database.tenants(sorted(one.tenant_id for one in needy)) as tx:
        return await distribute(tx, [one.tenant_id for one in needy]), True


async def distribute(tx: Transaction, tenant_ids: Sequence[str]) -> int:
    """Give sessions of these companies to their agents; returns how many.

    A company that another process distributes for at this moment is left to it.
    """
    held = await COMPANIES.find(tx, _HOLD, tenant_ids)
    companies = [one for one in held if one.auto_assignment != "off"]
    these = [c.tenant_id for c in companies], [c.sessions_per_agent for c in companies]
    agents: dict[str, list[Load]] = defaultdict(list)
    for one in await _FREE_ONES.find(tx, _AGENTS, *these):
        agents[one.tenant_id].append(one)
    free: dict[str, list[Session]] = defaultdict(list)
    for row in await SESSIONS.find(tx, _SESSIONS, *these):
        if row.status == "active" and row.assigned_agent_id is None:  # as the lock found it
            free[row.tenant_id].append(row)
    given = [
        each
        for company in companies
        for each in _given(company, free[company.tenant_id], agents[company.tenant_id])
    ]
    if given:
        await assigning.assign(tx, given)
        last = {one.tenant_id: one.agent_id for one in given}
        moved = [c.model_copy(update={"last_agent_id": last.get(c.tenant_id)}) for c in companies]
        await COMPANIES.update(tx, [c for c in moved if c.last_agent_id], "last_agent_id")
    return len(given)


def _given(
    company: CompanyRef, free: Sequence[Session], agents: Sequence[Load]
) -> list[Assignment]:
    oldest = sorted(free, key=lambda one: (one.started_at, one.id))
    mode: Literal["round_robin", "least_busy"] = (
        "round_robin" if company.auto_assignment == "round_robin" else "least_busy"
    )
    taken_by = share(
        mode,
        len(oldest),
        agents,
        at_most=company.sessions_per_agent,
        last=company.last_agent_id,
    )
    return [
        Assignment(company.tenant_id, resource(one), agent_id, mode)
        for one, agent_id in zip(oldest, taken_by, strict=False)
    ]

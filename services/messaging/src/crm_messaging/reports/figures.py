"""SQL of reports: one statement, over the indexes by time of messages and sessions.

Each thing is counted where and when it happened: messages by their place in lists, sessions by
start, end and first answer. Only the counts leave the database.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import asyncpg
from service_kit.database import Transaction
from service_kit.errors import InvalidError
from service_kit.rows import Shape
from shared_events.messaging.report import (
    ConversationFigures,
    ConversationReportRow,
    GetConversationReport,
)

MOST_ROWS = 500
MILLISECONDS = 10_000
"""A report that takes longer is refused; nobody waits for it by then."""

# The agent of a message is found at its session; where nobody asks for agents, none is looked at.
_MESSAGES = "messages AS m"
_MESSAGES_OF_AGENTS = (
    "messages AS m CROSS JOIN LATERAL (SELECT coalesce(m.sent_by, s.assigned_agent_id) AS id"
    " FROM sessions AS s WHERE s.id = m.session_id AND s.tenant_id = $1 LIMIT 1) AS agent"
)
_BUCKETS = {
    "channel": ("m.channel_id::text", "s.channel_id::text"),
    "agent": ("agent.id::text", "s.assigned_agent_id::text"),
    "day": ("(m.placed_at AT TIME ZONE $4)::date::text", "({at} AT TIME ZONE $4)::date::text"),
}
_REFS = {
    "channel": "SELECT name FROM channel_refs WHERE tenant_id = $1 AND channel_id = key::uuid",
    "agent": "SELECT name FROM agent_refs WHERE tenant_id = $1 AND agent_id = key::uuid",
    "day": "SELECT NULL AS name",
}
_WAITED = "extract(epoch FROM greatest(first_outbound_at - first_inbound_at, interval '0'))"
_TOOK = "extract(epoch FROM ended_at - started_at)"
_NONE = "NULL::double precision"


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment until before another."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the statement brings: of everything where `is_total`, else of one `key`."""

    is_total: bool
    key: str | None
    name: str | None
    messages_in: int
    messages_out: int
    sessions_started: int
    sessions_closed: int
    sessions_expired: int
    first_responses: int
    first_response_median_seconds: float | None
    first_response_p90_seconds: float | None
    resolution_median_seconds: float | None
    resolution_p90_seconds: float | None


_FIGURES = Shape(_Figures)
_COUNTED = tuple(f.name for f in fields(_Figures))[3:]
_ADDED = tuple(name for name in _COUNTED if not name.endswith("_seconds"))


async def conversations(
    tx: Transaction, request: GetConversationReport, span: Span
) -> tuple[ConversationFigures, list[ConversationReportRow]]:
    """The figures of everything, and those of each day, channel or agent that had any.

    InvalidError when PostgreSQL does not know the time zone, or it is too much to count.
    """
    statement, values = _statement(request)
    # Planned for the stretch that is asked for: of a year, or of an hour.
    await tx.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    await tx.execute(f"SET LOCAL statement_timeout = {MILLISECONDS}")
    try:
        found = await _FIGURES.find(
            tx, statement, tx.tenant_id, span.starts_at, span.ends_at, *values
        )
    except asyncpg.InvalidParameterValueError:
        raise unknown_time_zone() from None
    except asyncpg.QueryCanceledError:
        raise InvalidError("report_too_large", "That is too much to count; ask for less.") from None
    total = next((_counts(one) for one in found if one.is_total), {})
    rows = [one for one in found if not one.is_total]
    if request.by == "day":
        shown = [ConversationReportRow(day=one.key, **_counts(one)) for one in rows]
    else:
        of = f"{request.by}_id"
        shown = [
            ConversationReportRow.model_validate({of: one.key, "name": one.name, **_counts(one)})
            for one in rows
        ]
    return ConversationFigures(**total), shown


def unknown_time_zone() -> InvalidError:
    """Nobody knows this time zone."""
    return InvalidError.field("timezone", "unknown_time_zone", "It is no IANA time zone.")


def _counts(figures: _Figures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in _COUNTED}


def _statement(request: GetConversationReport) -> tuple[str, list[Any]]:
    """The statement, and its values after tenant, start and end."""
    values: list[Any] = []
    if request.by == "day":
        values.append(request.timezone)
    messages, sessions = "", ""
    if request.channel_id is not None:
        values.append(request.channel_id)
        messages += f" AND m.channel_id = ${len(values) + 3}"
        sessions += f" AND s.channel_id = ${len(values) + 3}"
    if request.agent_id is not None:
        values.append(request.agent_id)
        messages += f" AND agent.id = ${len(values) + 3}"
        sessions += f" AND s.assigned_agent_id = ${len(values) + 3}"
    of_agents = request.by == "agent" or request.agent_id is not None
    of_message, of_session = _BUCKETS[request.by]
    by_session = f"FROM sessions AS s WHERE s.tenant_id = $1 AND s.opened_by <> 'history'{sessions}"
    parts = [
        _part(
            of_message,
            f"FROM {_MESSAGES_OF_AGENTS if of_agents else _MESSAGES} WHERE m.tenant_id = $1"
            f" AND m.placed_at >= $2 AND m.placed_at < $3{messages}",
            messages_in="count(*) FILTER (WHERE direction = 'inbound')",
            messages_out="count(*) FILTER (WHERE direction = 'outbound')",
        ),
        _part(
            of_session.format(at="s.started_at"),
            f"{by_session} AND s.started_at >= $2 AND s.started_at < $3",
            sessions_started="count(*)",
        ),
        _part(
            of_session.format(at="s.ended_at"),
            f"{by_session} AND s.ended_at >= $2 AND s.ended_at < $3",
            sessions_closed="count(*) FILTER (WHERE status = 'closed')",
            sessions_expired="count(*) FILTER (WHERE status = 'expired')",
            resolution_median_seconds=_percentile("0.5", _TOOK, "status = 'closed'"),
            resolution_p90_seconds=_percentile("0.9", _TOOK, "status = 'closed'"),
        ),
        _part(
            of_session.format(at="s.first_outbound_at"),
            f"{by_session} AND s.first_outbound_at >= $2 AND s.first_outbound_at < $3"
            " AND s.opened_by = 'customer' AND s.first_inbound_at IS NOT NULL",
            first_responses="count(*)",
            first_response_median_seconds=_percentile("0.5", _WAITED),
            first_response_p90_seconds=_percentile("0.9", _WAITED),
        ),
    ]
    sums = [f"coalesce(sum({name}), 0)::int AS {name}" for name in _ADDED]
    others = [f"max({name}) AS {name}" for name in _COUNTED if name not in _ADDED]
    order = "key" if request.by == "day" else "messages_in + messages_out DESC, key"
    return (
        f"SELECT g.*, named.name FROM (SELECT is_total, key, {', '.join((*sums, *others))}"  # noqa: S608
        f" FROM ({' UNION ALL '.join(parts)}) AS p GROUP BY is_total, key) AS g"
        f" LEFT JOIN LATERAL ({_REFS[request.by]} LIMIT 1) AS named ON true"
        f" ORDER BY is_total DESC, {order} LIMIT {MOST_ROWS + 1}",
        values,
    )


def _part(bucket: str, source: str, **counted: str) -> str:
    """What one source counts, by bucket and of all; whatever it does not count is nothing."""
    columns = [
        f"{counted.get(name, '0' if name in _ADDED else _NONE)} AS {name}" for name in _COUNTED
    ]
    return (
        f"SELECT grouping({bucket}) = 1 AS is_total, {bucket} AS key, {', '.join(columns)}"
        f" {source} GROUP BY GROUPING SETS (({bucket}), ())"
    )


def _percentile(fraction: str, of: str, where: str = "true") -> str:
    ordered = f"percentile_cont({fraction}) WITHIN GROUP (ORDER BY {of})"
    return f"({ordered} FILTER (WHERE {where}))::double precision"

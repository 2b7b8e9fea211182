"""What was told of a person: the event log, what is and was owed to endpoints, their answers.

Both tables are walked hour by hour, for no index knows whom an event is about. That somebody was
erased stays told: it names nobody.
"""

from datetime import timedelta

from service_kit.erasing import Pass

_HOUR = timedelta(hours=1)
_LOG = """
DELETE FROM domain_event_log WHERE tenant_id = $1 AND occurred_at > $2 AND occurred_at <= $3
    AND (payload::text LIKE ANY($4::text[]) OR aggregate_id = ANY($5::uuid[]))
    AND event_type <> 'contact.erased' AND event_type NOT LIKE 'erasure.%'
"""
_OWED = """
WITH about AS MATERIALIZED (
    SELECT event_id FROM webhook_events
    WHERE tenant_id = $1 AND recorded_at > $2 AND recorded_at <= $3
        AND event_type <> 'contact.erased'
        AND EXISTS (SELECT 1 FROM unnest($4::bytea[]) AS t WHERE position(t IN body) > 0)
), owed AS (
    DELETE FROM webhook_deliveries d USING about
    WHERE d.tenant_id = $1 AND d.event_id = about.event_id RETURNING d.id
), tried AS (
    DELETE FROM delivery_attempts a USING owed
    WHERE a.tenant_id = $1 AND a.delivery_id = owed.id
)
DELETE FROM webhook_events e USING about WHERE e.tenant_id = $1 AND e.event_id = about.event_id
"""


async def erase(one: Pass) -> None:
    """Look through all tables of webhooks once."""
    values = (one.patterns, [*one.aggregates, *one.contacts])
    await one.walk("domain_event_log", "occurred_at", _LOG, *values, step=_HOUR)
    traces = [trace.encode() for trace in one.traces]
    await one.walk("webhook_events", "recorded_at", _OWED, traces, step=_HOUR)

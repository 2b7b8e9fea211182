"""Messages that failed and are queued once more, if it is certain that WhatsApp has them not."""

from collections.abc import Sequence

from service_kit.database import Transaction

from crm_channels_waha.outbound.models import OutboundMessage

# What may have arrived stays as it is, and so does what was queued by the same event already.
_AGAIN = """
UPDATE outbound_messages SET state = 'pending', reason = NULL, next_attempt_at = NULL,
    failures = 0, message_version = $3, expires_at = $4, correlation_id = $5, causation_id = $6,
    trace_context = $7, created_at = now(), updated_at = now()
WHERE message_id = $2 AND tenant_id = $1 AND state = 'failed' AND message_version < $3
    AND reason NOT LIKE 'outcome_unknown%'
"""


async def enter_again(tx: Transaction, messages: Sequence[OutboundMessage]) -> None:
    """Owe those once more that are known, failed, and were queued again since."""
    again = [
        (
            message.tenant_id,
            message.message_id,
            message.message_version,
            message.expires_at,
            message.correlation_id,
            message.causation_id,
            message.trace_context,
        )
        for message in messages
        if message.message_version > 1  # hardly any: the way of all others is as long as before
    ]
    if again:
        await tx.connection.executemany(_AGAIN, again)

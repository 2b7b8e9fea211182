"""Whether a contact may be written to (docs/architecture.md, "Consent")."""

from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError

from crm_messaging.consent.models import EVERYWHERE

# WhatsApp's own window for answers. The second part is asked of those who opted out, and only then.
_IS_OUT = """
SELECT EXISTS (
    SELECT FROM unnest($3::uuid[]) AS k(channel_id) CROSS JOIN LATERAL (
        SELECT is_out FROM opt_out_refs
        WHERE tenant_id = $1 AND contact_id = $2 AND channel_id = k.channel_id LIMIT 1) AS o
    WHERE o.is_out)
"""
_IS_REFUSED = f"""
{_IS_OUT} AND NOT EXISTS (
    SELECT FROM (SELECT id FROM sessions WHERE tenant_id = $1 AND contact_id = $2
        AND channel_id = $4 AND status = 'active' LIMIT 1) AS s
    CROSS JOIN LATERAL (SELECT FROM messages WHERE tenant_id = $1 AND session_id = s.id
        AND direction = 'inbound' AND placed_at > now() - interval '24 hours' LIMIT 1) AS m)
"""  # noqa: S608 - our own text


async def check(tx: Transaction, contact_id: UUID, channel_id: UUID) -> None:
    """Raise ConflictError `contact_opted_out` for who wants no messages on this channel.

    Who wrote there within 24 hours, in a session that is active, is answered all the same.
    """
    channels = [channel_id, EVERYWHERE]
    if await tx.fetchval(_IS_REFUSED, tx.tenant_id, contact_id, channels, channel_id):
        raise _opted_out()


async def check_unasked(tx: Transaction, contact_id: UUID, channel_id: UUID) -> None:
    """The same for what answers nobody: raises it for everybody who opted out."""
    if await tx.fetchval(_IS_OUT, tx.tenant_id, contact_id, [channel_id, EVERYWHERE]):
        raise _opted_out()


def _opted_out() -> ConflictError:
    return ConflictError("contact_opted_out", "The contact wants no messages on this channel.")

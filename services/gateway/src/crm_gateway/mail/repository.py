"""SQL of mails that wait."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_gateway.mail.models import WaitingMail

_MAILS = Rows(WaitingMail)

# Selecting from the agents makes it the same statement for somebody who is not there.
_PUT = """
WITH whom AS (SELECT user_id FROM agents WHERE tenant_id = $2 AND id = $3),
older AS (
    DELETE FROM mails WHERE tenant_id = $2 AND user_id IN (SELECT user_id FROM whom) AND topic = $6
)
INSERT INTO mails (id, tenant_id, user_id, sealed, expires_at, topic)
SELECT $1, $2, user_id, $4, $5, $6 FROM whom
"""
_RECALL = """
DELETE FROM mails WHERE tenant_id = $1
AND user_id = (SELECT user_id FROM agents WHERE tenant_id = $1 AND id = $2)
"""
_TAKE = """
UPDATE mails SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
WHERE id = ANY (ARRAY(
    SELECT id FROM mails WHERE next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED
)) RETURNING *
"""
_POSTPONE = """
UPDATE mails SET next_attempt_at = now() + make_interval(secs => $3)
WHERE id = $1 AND attempts = $2
"""


async def put(
    tx: Transaction, mail_id: UUID, agent_id: UUID, topic: str, sealed: str, expires_at: datetime
) -> None:
    """Keep a mail to an agent of the tenant, in the place of an older one of the topic that waits.

    What the older one says, or where its link leads, holds no more.
    """
    await tx.execute(_PUT, mail_id, tx.tenant_id, agent_id, sealed, expires_at, topic)


async def recall(tx: Transaction, agent_id: UUID) -> None:
    """Send nothing that waits for this agent."""
    await tx.execute(_RECALL, tx.tenant_id, agent_id)


async def take(tx: Transaction, most: int, lease_seconds: float) -> list[WaitingMail]:
    """What is due, of all tenants, longest first; nobody else takes it within the lease."""
    return await _MAILS.find(tx, _TAKE, most, lease_seconds)


async def remove(tx: Transaction, mail_ids: Sequence[UUID]) -> None:
    """Forget mails that are sent, or never will be."""
    await tx.execute("DELETE FROM mails WHERE id = ANY($1)", mail_ids)


async def remove_expired(tx: Transaction) -> int:
    """Forget mails whose links no longer work; returns how many that were."""
    return await tx.execute("DELETE FROM mails WHERE expires_at <= now()")


async def postpone(tx: Transaction, mail: WaitingMail, seconds: float) -> None:
    """Have a mail tried again so much later, unless somebody has taken it meanwhile."""
    await tx.execute(_POSTPONE, mail.id, mail.attempts, seconds)

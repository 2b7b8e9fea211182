"""The gateway's part of an erasure (docs/adr/0022)."""

from service_kit.erasing import Erasures, Pass
from service_kit.service import Service
from shared_events.contacts.erasure import ErasureStarted
from shared_events.gateway.erasure import ErasedByGateway
from shared_events.topology import GATEWAY_ERASURES

# What came after the erasure is of whoever comes after.
_SPOOL = """
DELETE FROM ingress_spool WHERE tenant_id = $1 AND seq > $2 AND seq <= $3 AND received_at < $5
    AND EXISTS (SELECT 1 FROM unnest($4::bytea[]) AS t WHERE position(t IN body) > 0)
"""
_AUDIT = """
UPDATE audit_log SET before = NULL, after = NULL WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM audit_log WHERE tenant_id = $1
        AND (before::text LIKE ANY($3::text[]) OR after::text LIKE ANY($3::text[])) LIMIT $2))
"""


def add_to(service: Service) -> None:
    """Webhooks about an erased person that wait here, and what acts say of them."""
    erasures = Erasures(service, ErasedByGateway, _erase)
    service.on(GATEWAY_ERASURES, ErasureStarted, erasures.on_started, together=True)


async def _erase(one: Pass) -> None:
    numbers = [number.encode() for number in one.numbers]
    await one.walk("ingress_spool", "seq", _SPOOL, numbers, one.erased_at)
    await one.erase("audit_log", _AUDIT, one.patterns)

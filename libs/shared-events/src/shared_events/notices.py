"""What every gateway is told at once, for those who follow feeds (docs/architecture.md, "The bus").

Nothing is lost with a notice: gateways look by themselves as well, only later.
"""

from faststream.rabbit import ExchangeType, RabbitExchange, RabbitQueue

from shared_events import bounds
from shared_events.envelope import Contract

FEED_NOTICES = RabbitExchange("feed.notices", type=ExchangeType.FANOUT, declare=False, robust=False)
"""Carries `FeedsGrown`, from webhooks."""


class FeedsGrown(Contract):
    """Whose feeds have grown."""

    tenant_ids: list[bounds.TenantId]


def notices_queue(name: str) -> RabbitQueue:
    """A gateway process' own ear: it goes with the process; who is slow hears only the latest."""
    return RabbitQueue(
        name,
        exclusive=True,
        auto_delete=True,
        durable=False,
        robust=False,
        arguments={"x-max-length": 1000},
    )

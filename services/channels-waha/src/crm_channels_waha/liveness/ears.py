"""Whether we ourselves hear: with the broker away, every channel would seem deaf."""

import asyncio
from collections.abc import Sequence

from service_kit.bus import BROKER_ERRORS
from service_kit.service import Service

_MOST_WAITING = 1000
"""WAHA's events in a queue; they are gone within the grace that what is on its way has."""


async def listening(service: Service, queues: Sequence[str]) -> bool:
    """Whether what WAHA tells us is heard: the service is ready, and nothing gathers in the queues.

    What the gateway still holds is not seen; it comes within seconds once there is a broker.
    """
    if not await service.health.ready():
        return False
    try:
        async with asyncio.timeout(5), service.publisher.channel() as channel:
            for name in queues:
                found = await channel.declare_queue(name, passive=True)
                if (found.declaration_result.message_count or 0) > _MOST_WAITING:
                    return False
    except BROKER_ERRORS:
        return False
    return True

"""How late the event loop is: what every request, event and check of the process waits for."""

import asyncio

from service_kit import metrics

_EVERY_SECONDS = 0.5


async def measure() -> None:
    """Ask to be woken, for ever, and observe how much later than asked for that happens."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY_SECONDS
        await asyncio.sleep(_EVERY_SECONDS)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))

"""A tiny service the kit's tests drive: one table, one command, two queries."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_TICK_SECONDS = 0.005


async def eventually(
    condition: Callable[[], Awaitable[bool] | bool], *, seconds: float = 60.0
) -> None:
    """Return as soon as the condition holds; AssertionError when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if isinstance(holds, Awaitable):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        await asyncio.sleep(_TICK_SECONDS)

"""Waiting for what another process does and tells nobody of: all that is left is to look again.

The commands of the stack are synchronous, so what waits may block.
"""

import time
from collections.abc import Callable
from math import inf

_LOOK_SECONDS = 0.05


def until(met: Callable[[], bool], seconds: float = inf) -> bool:
    """Look again and again until it is met or `seconds` have passed; returns whether it is."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True

"""When to try again (Standard Webhooks' schedule, with a step that outlasts a rolling deploy)."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

HOUR = 3600.0
JITTER = 0.2
MAX_RETRY_AFTER_SECONDS = 24 * HOUR
_HTTP_DATES = (  # RFC 9110, section 5.6.7
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
)

DISABLE_AFTER_FAILING_SECONDS = 120 * HOUR
DISABLE_AFTER_FAILED_DELIVERIES = 20
DISABLE_AFTER_FAILING_HOURS = 12
"""Different ones in which something failed: one bad hour after five quiet days is not enough."""
WARNINGS_PERCENT = (50, 75, 90)


def retry_delay(
    delays: Sequence[float],
    attempts: int,
    *,
    at_least: float = 0.0,
    chance: Callable[[], float] = random.random,
) -> float | None:
    """Seconds until the next attempt once `attempts` of them failed; None when it was the last.

    The step is spread by +-20 % so that an endpoint coming back is not met by all its debts at
    once. `at_least` is what the receiver asked for.
    """
    if attempts > len(delays):
        return None
    spread = 1 - JITTER + 2 * JITTER * chance()
    return max(delays[attempts - 1] * spread, at_least)


def warning(hopelessness: float) -> int:
    """The highest percentage that is to be told of; 0 for none. 1.0 is hopeless."""
    return max((p for p in WARNINGS_PERCENT if hopelessness * 100 >= p), default=0)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds a `Retry-After` header asks for, at most 24 h; None for the past and for garbage.

    A stranger wrote the header: whatever it says, nothing is raised.
    """
    text = (value or "").strip()
    if not text:
        return None
    if text.isdecimal() and text.isascii():
        seconds = float(text)
    elif moment := _http_date(text):
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    else:
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds > 0 else None


def _http_date(text: str) -> datetime | None:
    for form in _HTTP_DATES:
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    return None

"""When to try again (Standard Webhooks' schedule, with a step that outlasts a rolling deploy)."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

HOUR = 3600.0
JITTER = 0.2
MAX_RETRY_AFTER_SECONDS = 24 * HOUR

DISABLE_AFTER_FAILING_SECONDS = 120 * HOUR
DISABLE_AFTER_FAILED_DELIVERIES = 20


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


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds a `Retry-After` header asks for, at most 24 h; None for the past and for garbage."""
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal() and text.isascii():
        seconds = float(text[:12])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds > 0 else None

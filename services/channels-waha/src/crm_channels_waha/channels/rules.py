"""What a channel's settings may be; refused with 422 and the field's name when they are saved."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import HttpUrl
from service_kit.egress import Egress
from service_kit.errors import InvalidError
from shared_events.channels.channel import QuietHoursSettings, WarmUpSettings

_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_HEADER_WORD = re.compile(r"[\x21-\x7e]+")


def base_url(url: HttpUrl, egress: Egress) -> str:
    """The URL that paths are added to, without a trailing slash; raises InvalidError.

    Anything beyond a plain path would make our requests other requests.
    """
    plain = url.query is None and url.fragment is None and _PLAIN_PATH.fullmatch(url.path or "")
    if not plain or not egress.allows_url(str(url), plain_http=True):
        raise InvalidError.field(
            "waha/base_url",
            "url_not_allowed",
            "The URL must be http or https, a host and perhaps a path, without user, query or"
            " fragment, and lead to a public address or one the operator allows.",
        )
    return str(url).rstrip("/")


def api_key(key: str) -> str:
    """The key, which travels in a header; raises InvalidError."""
    if not is_sendable(key):
        raise InvalidError.field(
            "waha/api_key", "key_malformed", "An API key is printable ASCII without blanks."
        )
    return key


def quiet_hours(hours: QuietHoursSettings | None) -> dict[str, str] | None:
    """Quiet hours as they are stored; raises InvalidError."""
    if hours is None:
        return None
    if hours.start == hours.end:
        raise InvalidError.field(
            "quiet_hours/end",
            "quiet_hours_empty",
            "They end at another time than they start.",
        )
    try:
        ZoneInfo(hours.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidError.field(
            "quiet_hours/timezone", "unknown_time_zone", "It is no IANA time zone."
        ) from None
    return hours.model_dump()


def warm_up(settings: WarmUpSettings | None) -> dict[str, Any] | None:
    """A warm-up as it is stored: since today unless it names a day."""
    if settings is None:
        return None
    starts_on = settings.starts_on or datetime.now(UTC).date()
    return settings.model_copy(update={"starts_on": starts_on}).model_dump(mode="json")


def is_sendable(key: str) -> bool:
    """Whether a key can be a header's value as it is."""
    return _HEADER_WORD.fullmatch(key) is not None

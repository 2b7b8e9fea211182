"""Routes that will go: how their callers are told, and until when they are answered.

Deprecation is RFC 9745's header, Sunset RFC 8594's; both have links to a page that says what to
call instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from functools import cached_property


@dataclass(frozen=True)
class Deprecation:
    """Since when a route is deprecated, from when on it may be gone, and the page (an absolute URL
    or path) that says what to call instead. Raises ValueError for an end before the beginning.
    """

    since: date
    sunset: date
    page: str

    def __post_init__(self) -> None:
        if self.sunset < self.since:  # RFC 9745, 4
            raise ValueError("what is deprecated cannot be gone before")

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """What every answer of the route says, refusals as well."""
        ends = format_datetime(_midnight(self.sunset), usegmt=True)
        links = (f'<{self.page}>; rel="{kind}"' for kind in ("deprecation", "sunset"))
        return {
            "Deprecation": f"@{_midnight(self.since).timestamp():.0f}",
            "Sunset": ends,
            "Link": ", ".join(links),
        }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

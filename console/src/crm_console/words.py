"""What the console says, in Portuguese and English, and how it writes times."""

import json
from datetime import UTC, date, datetime, time
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.units import format_unit
from starlette.requests import Request

LANGUAGES = {"pt-BR": "Português", "en": "English"}
_DEFAULT = "en"
_SPANS = (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0), ("second", 1.0))


class Words:
    """The words of one language, and times as they are in one zone."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language = language
        self._zone = zone
        self._locale = Locale.parse(language, sep="-")
        self._texts = texts(language)

    def __call__(self, name: str, /, **values: object) -> str:
        """The text of this name; raises KeyError for one there is not."""
        return self._texts[name].format(**values)

    def or_else(self, name: str, otherwise: str) -> str:
        """The text of a name that came from elsewhere, or what to say if there is none."""
        return self._texts.get(name, otherwise)

    @property
    def zone(self) -> str:
        """The reader's zone, by its IANA name."""
        return self._zone.key

    @property
    def today(self) -> date:
        """The day it is where the reader is."""
        return datetime.now(self._zone).date()

    def midnight(self, day: date) -> str:
        """The beginning of the reader's day, as the API writes times."""
        return self.moment(datetime.combine(day, time()))

    def moment(self, local: datetime) -> str:
        """A time of the reader's, as the API writes times."""
        return local.replace(tzinfo=self._zone).astimezone(UTC).isoformat()

    def local(self, moment: str) -> datetime:
        """A time of the API's, in the reader's zone."""
        return datetime.fromisoformat(moment).astimezone(self._zone)

    def time(self, moment: str) -> str:
        """The hour and minute."""
        return format_time(self.local(moment), "short", locale=self._locale)

    def full(self, moment: str) -> str:
        """Day and time."""
        return format_datetime(self.local(moment), "medium", locale=self._locale)

    def day(self, day: date) -> str:
        """A day as a heading."""
        distance = (self.today - day).days
        if distance in (0, 1):
            return self("today") if distance == 0 else self("yesterday")
        return format_date(day, "full", locale=self._locale)

    def brief(self, day: date) -> str:
        """A day in a few digits."""
        return format_date(day, "short", locale=self._locale)

    def span(self, seconds: float) -> str:
        """How long something took, in the largest unit that it fills."""
        unit, size = next((s for s in _SPANS if s[1] <= seconds), ("millisecond", 0.001))
        return format_unit(
            seconds / size, f"duration-{unit}", "short", format="#,##0.#", locale=self._locale
        )

    def when(self, moment: str) -> str:
        """The time of a thing of today, else the day of it."""
        day = self.local(moment).date()
        if day == self.today:
            return self.time(moment)
        return self.brief(day)


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of a language, by name."""
    found: dict[str, str] = json.loads(
        (files("crm_console") / "texts" / f"{language}.json").read_text(encoding="utf-8")
    )
    return found


def words(request: Request) -> Words:
    """The words for who asks: as chosen before, else as the browser asks for."""
    chosen = request.cookies.get("language", "")
    language = (
        chosen if chosen in LANGUAGES else _wanted(request.headers.get("accept-language", ""))
    )
    try:
        zone = ZoneInfo(request.cookies.get("zone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    return Words(language, zone)


def _wanted(accepted: str) -> str:
    """The best of our languages by an Accept-Language header (RFC 9110, section 12.5.4)."""
    ranked: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            rank = float(quality) if quality else 1.0
        except ValueError:
            continue
        ours = next((each for each in LANGUAGES if each[:2] == tag[:2].lower()), None)
        if ours and rank > 0:
            ranked.append((rank, ours))
    return max(ranked, key=lambda each: each[0], default=(0.0, _DEFAULT))[1]

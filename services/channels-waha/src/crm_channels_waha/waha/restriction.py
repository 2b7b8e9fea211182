"""What tells that WhatsApp restricts the account (docs/waha.md, "Restrictions")."""

import re
from datetime import UTC, datetime

from crm_channels_waha.waha.context import moment
from crm_channels_waha.waha.meaning import Restriction
from crm_channels_waha.waha.reading import Json, text

_CODE = "463"
_IN_WORDS = re.compile(rf"\b{_CODE}\b")
_UNNAMED = "account_restricted"


def read_timelock(lock: Json, at: datetime | None) -> Restriction | None:
    """What a `reachoutTimelock` says; None where there is none."""
    is_active = lock.get("isActive")
    if not isinstance(is_active, bool):
        return None
    until = moment(lock.get("timeEnforcementEnds"))
    return Restriction(is_active, until, _reason(lock.get("enforcementType")), at)


def read_error(error: Json, at: datetime) -> Restriction | None:
    """What the error of an ack says; None where it is about something else."""
    if str(error.get("code")) != _CODE:
        return None
    reason = _reason(error.get("enforcementType") or error.get("reason"))
    return Restriction(True, _written_out(error.get("until")), reason, at)


def is_told_by(words: str) -> bool:
    """Whether the words of an error are WhatsApp's code for it."""
    return _IN_WORDS.search(words) is not None


def unnamed() -> Restriction:
    """One of which an error's words tell nothing more."""
    return Restriction(True, None, _UNNAMED, None)


def _reason(said: object) -> str:
    return (text(said) or _UNNAMED)[:50]


def _written_out(value: object) -> datetime | None:
    """A time in ISO 8601, or as a number."""
    try:
        found = datetime.fromisoformat(text(value) or "")
    except ValueError:
        return moment(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)

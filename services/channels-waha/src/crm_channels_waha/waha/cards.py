"""Contact cards: vCards as WhatsApp sends them (RFC 6350, RFC 2426; older phones write 2.1)."""

import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import decimal

from shared_events.identity import visible

_BEGIN = re.compile(r"(?:^|(?<=[\r\n]))BEGIN:VCARD", re.IGNORECASE)
_BREAK = re.compile(r"\r\n|\n|\r")  # and no other: names hold the line breaks of Unicode
_FOLD = re.compile(r"(?:\r\n|\n|\r)[ \t]")
_CODED = re.compile(
    r"^[^\n:]*QUOTED-PRINTABLE(?:[^\n]*=\r?\n)*[^\n]*", re.IGNORECASE | re.MULTILINE
)
_SOFT_BREAK = re.compile(r"=\r?\n")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WAID = re.compile(r"waid=\"?(\d+)", re.IGNORECASE)
_EXTENSION = re.compile(r"(;|\s(x|ext\.?|ramal)\s?\d).*", re.IGNORECASE)
_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE)
_NOT_OF_A_NUMBER = re.compile(r"[^0-9+*#]")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_MOST_NUMBERS = 50
_NAMES = ("FN", "N", "X-WA-BIZ-NAME", "NICKNAME", "ORG")
"""What says how somebody is called, the best first."""
_LONGEST_NAME = 255
_TO_ESCAPE = re.compile(r"([\\,;])")


@dataclass(frozen=True, slots=True)
class _Line:
    """`item1.TEL;type=CELL;waid=55...:+55 ...`: name, what stands before the colon, and behind."""

    name: str
    parameters: str
    value: str


def read_card(card: str) -> dict[str, Any]:
    """Name, number and e-mails of a card; `phones` has all of its numbers where it has several.

    A number that WhatsApp knows is given by its digits, any other as it is written there.
    """
    lines = list(_lines(card))
    by_name = {line.name: line for line in reversed(lines)}
    told = (_called(by_name[name]) for name in _NAMES if name in by_name)
    name = next(filter(visible, told), "")[:_LONGEST_NAME]
    phones = list(dict.fromkeys(filter(None, (_number(line) for line in lines))))[:_MOST_NUMBERS]
    read: dict[str, Any] = {"name": name or None, "phone": phones[0] if phones else None}
    emails = list(dict.fromkeys(filter(None, (_email(line) for line in lines))))[:_MOST_NUMBERS]
    several = {"phones": phones} if len(phones) > 1 else {}
    return {**read, **several, **({"emails": emails} if emails else {})}


def split_cards(text: str) -> list[str]:
    """The cards in a text, which may hold several."""
    begins = [found.start() for found in _BEGIN.finditer(text)] or [0]
    return [text[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True)]


def write_card(name: str, phones: Sequence[str]) -> str:
    """A card with these numbers, given by their digits: WhatsApp offers to write to each."""
    said = _TO_ESCAPE.sub(r"\\\1", " ".join(name.split()))
    numbers = [f"TEL;type=CELL;waid={phone}:+{phone}" for phone in phones]
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"N:;{said};;;", f"FN:{said}", *numbers, "END:VCARD"]
    return "\n".join(lines)


def _lines(card: str) -> Iterator[_Line]:
    unfolded = _CODED.sub(lambda line: _SOFT_BREAK.sub("", line[0]), _FOLD.sub("", card))
    for line in _BREAK.split(unfolded):
        head, colon, value = line.partition(":")
        if not colon:
            continue
        name, _, parameters = head.partition(";")
        yield _Line(name.rpartition(".")[2].strip().upper(), parameters, value)


def _plain(line: _Line) -> str:
    """The value without what its encoding and its escapes put into it."""
    value = line.value
    if "QUOTED-PRINTABLE" in line.parameters.upper():
        found = _CHARSET.search(line.parameters)
        coded = quopri.decodestring(value.encode("ascii", "replace"))
        try:
            value = coded.decode(found[1] if found else "utf-8", "replace")
        except LookupError:
            value = coded.decode("utf-8", "replace")
    return _ESCAPED.sub(lambda one: "\n" if one[1] in "nN" else one[1], value).strip()


def _called(line: _Line) -> str:
    """The name a line has; `Family;Given;Additional;Prefixes;Suffixes` as it is said."""
    if line.name == "ORG":
        return _plain(line).partition(";")[0]
    if line.name != "N":
        return _plain(line)
    family, given, more, before, behind, *_ = [*_plain(line).split(";"), "", "", "", "", ""]
    return " ".join(filter(None, map(str.strip, (before, given, more, family, behind))))


def _email(line: _Line) -> str | None:
    """The address as it is written, where it may be one."""
    found = _plain(line).removeprefix("mailto:") if line.name == "EMAIL" else ""
    return found if _EMAIL.fullmatch(found) and len(found) <= _LONGEST_NAME else None


def _number(line: _Line) -> str | None:
    if line.name != "TEL":
        return None
    waid = _WAID.search(line.parameters)
    if waid:
        return waid[1]
    written = _EXTENSION.sub("", line.value.removeprefix("tel:"))
    digits = _NOT_OF_A_NUMBER.sub("", "".join(str(decimal(c, c)) for c in written))
    return digits.removeprefix("+") or None

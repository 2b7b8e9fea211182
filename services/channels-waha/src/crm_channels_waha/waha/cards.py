"""Contact cards: vCards as WhatsApp sends them (RFC 6350, RFC 2426; older phones write 2.1)."""

import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_FOLD = re.compile(r"\r?\n[ \t]")
_CODED = re.compile(
    r"^[^\n:]*QUOTED-PRINTABLE(?:[^\n]*=\r?\n)*[^\n]*", re.IGNORECASE | re.MULTILINE
)
_SOFT_BREAK = re.compile(r"=\r?\n")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WAID = re.compile(r"waid=(\d+)", re.IGNORECASE)
_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE)
_NOT_OF_A_NUMBER = re.compile(r"[^0-9+*#]")
_MOST_NUMBERS = 50
_TO_ESCAPE = re.compile(r"([\\,;])")


@dataclass(frozen=True, slots=True)
class _Line:
    """`item1.TEL;type=CELL;waid=55...:+55 ...`: name, what stands before the colon, and behind."""

    name: str
    parameters: str
    value: str


def read_card(card: str) -> dict[str, Any]:
    """Name and number of a card; `phones` has all of its numbers where it has several.

    A number that WhatsApp knows is given by its digits, any other as it is written there.
    """
    lines = list(_lines(card))
    name = next((_plain(line) for line in lines if line.name == "FN"), None)
    if not (name and name.strip()):
        name = next((_of_parts(line) for line in lines if line.name == "N"), None)
    phones = list(dict.fromkeys(filter(None, (_number(line) for line in lines))))[:_MOST_NUMBERS]
    read: dict[str, Any] = {"name": name or None, "phone": phones[0] if phones else None}
    return {**read, "phones": phones} if len(phones) > 1 else read


def write_card(name: str, phones: Sequence[str]) -> str:
    """A card with these numbers, given by their digits: WhatsApp offers to write to each."""
    said = _TO_ESCAPE.sub(r"\\\1", " ".join(name.split()))
    numbers = [f"TEL;type=CELL;waid={phone}:+{phone}" for phone in phones]
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"N:;{said};;;", f"FN:{said}", *numbers, "END:VCARD"]
    return "\n".join(lines)


def _lines(card: str) -> Iterator[_Line]:
    unfolded = _CODED.sub(lambda line: _SOFT_BREAK.sub("", line[0]), _FOLD.sub("", card))
    for line in unfolded.splitlines():
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


def _of_parts(line: _Line) -> str:
    """`Family;Given;Additional;Prefixes;Suffixes` as it is said."""
    family, given, more, before, behind, *_ = [*_plain(line).split(";"), "", "", "", "", ""]
    return " ".join(filter(None, map(str.strip, (before, given, more, family, behind))))


def _number(line: _Line) -> str | None:
    if line.name != "TEL":
        return None
    waid = _WAID.search(line.parameters)
    if waid:
        return waid[1]
    digits = _NOT_OF_A_NUMBER.sub("", line.value.removeprefix("tel:"))
    return digits.removeprefix("+") or None

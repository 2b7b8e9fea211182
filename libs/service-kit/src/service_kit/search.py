"""What people are found by: text without case and accents (docs/architecture.md).

Folding happens here and not in PostgreSQL, so the indexes hold plain columns and need no function
that an extension would have to call immutable.
"""

import re
import unicodedata

from shared_events.identity import visible

_MAX_WORDS = 8
_PHONE = re.compile(r"[+(]*[0-9][0-9\s().\u2010-\u2015-]{3,}")
_NOT_DIGITS = re.compile(r"[^0-9]")
_TRUNK = re.compile(r"^0+(?=[0-9]{10})")
"""What is dialled before a whole number, at home or from abroad: no number begins with it."""
_INNER_TRUNK = re.compile(
    r"^(?:\+|00)[\s(]*((?!39|378|225|24[12])[1-9][0-9]{0,2})[\s().\u2010-\u2015-]+0(?=[^0-9]*[1-9])"
)
"""What is dialled before an area at home, kept behind a country's code: `+44 (0)20 ...`.

Numbers of Italy, San Marino, Ivory Coast, Gabon and Congo begin with one.
"""
_WILDCARDS = re.compile(r"[%_\\]")


def fold(text: str) -> str:
    """Lower case, without accents and compatibility forms: `João ①` becomes `joao 1`."""
    if text.isascii():  # nearly all texts are, and there is nothing in them to take apart
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return plain if plain.isascii() else "".join(map(_ascii_digit, plain))


def _ascii_digit(character: str) -> str:
    """A digit of any script as the one on every keyboard; other characters as they are."""
    return str(unicodedata.decimal(character, character))


def searchable(*texts: str | None) -> str:
    """What `patterns` are matched against: the words of these texts, each after a blank."""
    words = " ".join(fold(text) for text in texts if text).split()
    return " " + " ".join(words)


def patterns(search: str) -> list[str]:
    """LIKE patterns that must all match what `searchable` gave: one per word, or one for a phone.

    None at all for a search that means nothing, such as an accent alone: it finds nobody.

    A phone may be typed with blanks, dots, dashes and brackets, or copied with the invisible marks
    of an address book; its plus alone is in every phone. A word of one or two letters has no
    trigram inside another word, so it is looked for where words begin.
    """
    folded = fold(search)
    typed = "".join(c for c in folded if unicodedata.category(c) != "Cf").strip()
    if _PHONE.fullmatch(typed):
        digits = _NOT_DIGITS.sub("", _INNER_TRUNK.sub(r"\1", typed))
        return [f"%{_TRUNK.sub('', digits)}%"]
    words = [word for word in dict.fromkeys(folded.split()) if visible(word.strip("+"))]
    return [f"%{' ' if len(word) < 3 else ''}{_escaped(word)}%" for word in words[:_MAX_WORDS]]


def _escaped(word: str) -> str:
    return _WILDCARDS.sub(r"\\\g<0>", word)

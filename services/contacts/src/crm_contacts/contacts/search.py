"""What contacts are found and sorted by: text without case and accents (behaviour: search).

Folding happens here and not in PostgreSQL, so the indexes hold plain columns and need no function
that an extension would have to call immutable.
"""

import re
import unicodedata

from shared_events.identity import visible

from crm_contacts.contacts.models import Contact

SORT_NAME_LENGTH = 64
"""Characters of the folded name that order a list; more would not fit into a cursor."""

_MAX_WORDS = 8
_PHONE = re.compile(r"[+(]*[0-9][0-9\s().-]{3,}")
_NOT_DIGITS = re.compile(r"[^0-9]")
_WILDCARDS = re.compile(r"[%_\\]")


def fold(text: str) -> str:
    """Lower case, without accents and compatibility forms: `João ①` becomes `joao 1`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return plain if plain.isascii() else "".join(map(_ascii_digit, plain))


def _ascii_digit(character: str) -> str:
    """A digit of any script as the one on every keyboard; other characters as they are."""
    return str(unicodedata.decimal(character, character))


def derive(contact: Contact) -> Contact:
    """The contact with the columns that follow from its others."""
    name = fold(contact.name)
    words = f"{name} {contact.phone or ''} {fold(contact.email or '')}".split()
    return contact.model_copy(
        update={
            "sort_name": name[:SORT_NAME_LENGTH],
            "search_text": " " + " ".join(words),
            "tag_keys": sorted({tag_key(tag) for tag in contact.tags}),
        }
    )


def tag_key(tag: str) -> str:
    """Two tags with one key are the same tag."""
    return tag.casefold()


def patterns(search: str) -> list[str]:
    """LIKE patterns of which all must match `search_text`: one per word, or one for a phone.

    None at all for a search that means nothing, such as an accent alone: it finds nobody.

    A phone may be typed with blanks, dots, dashes and brackets. A word of one or two letters has
    no trigram inside another word, so it is looked for where words begin.
    """
    folded = fold(search)
    if _PHONE.fullmatch(folded.strip()):
        return [f"%{_NOT_DIGITS.sub('', folded)}%"]
    words = [word for word in dict.fromkeys(folded.split()) if visible(word)]
    return [f"%{' ' if len(word) < 3 else ''}{_escaped(word)}%" for word in words[:_MAX_WORDS]]


def _escaped(word: str) -> str:
    return _WILDCARDS.sub(r"\\\g<0>", word)

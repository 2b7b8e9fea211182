"""What of a filter an index can answer: values of custom fields, and tags.

Whoever the filter finds has one of these, so that of all the company's contacts only those that do
are looked at. Everything else a filter says is judged contact by contact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared_events.contacts.contact_filter import TAGS, Filter, Group, Match, Rule
from sqlalchemy import Text, func, literal
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.functions import FunctionElement

from crm_contacts.contacts.search import tag_key

MOST_ALTERNATIVES = 100
"""Each is looked up by itself."""


@dataclass(frozen=True, slots=True)
class Having:
    """One of these custom fields (documents that are contained), or one of these tags."""

    fields: tuple[dict[str, Any], ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def alternatives(self) -> int:
        """How many there are."""
        return len(self.fields) + len(self.tags)

    @property
    def contacts(self) -> FunctionElement[Any]:
        """The company's contacts that have one, by their index."""
        return func.contacts_having(
            literal(list(self.fields) or None, ARRAY(JSONB)),
            literal(list(self.tags) or None, ARRAY(Text)),
        )


def having(filter_: Filter) -> Having | None:
    """What everybody has whom the filter finds; None where that is nothing an index knows."""
    return _together(filter_.match, map(_of_group, filter_.groups))


def _of_group(group: Group) -> Having | None:
    return _together(group.match, map(_of_rule, group.rules))


def _of_rule(rule: Rule) -> Having | None:
    if rule.custom_key is not None and rule.operator in ("eq", "in"):
        return _few(Having(fields=tuple({rule.custom_key: value} for value in rule.given)))
    if rule.field == TAGS and rule.operator in ("contains", "in"):
        return _few(Having(tags=tuple(map(tag_key, rule.texts))))
    return None


def _together(match: Match, parts: Iterable[Having | None]) -> Having | None:
    every = list(parts)
    return _narrowest(every) if match == "all" else _any_of(every)


def _narrowest(parts: Sequence[Having | None]) -> Having | None:
    """Of what is so all together: every value that is the only one, or the fewest there are."""
    known = [part for part in parts if part is not None]
    only = [part.fields[0] for part in known if part.fields and part.alternatives == 1]
    if only:  # of two values of one field either will do: nobody has both
        return Having(fields=({key: value for one in only for key, value in one.items()},))
    return min(known, key=lambda part: part.alternatives, default=None)


def _any_of(parts: Sequence[Having | None]) -> Having | None:
    """Each of them has to be known, by one index for all."""
    known = [part for part in parts if part is not None]
    fields = tuple(one for part in known for one in part.fields)
    tags = tuple(one for part in known for one in part.tags)
    if len(known) < len(parts) or (fields and tags):
        return None
    return _few(Having(fields, tags))


def _few(found: Having) -> Having | None:
    return found if found.alternatives <= MOST_ALTERNATIVES else None

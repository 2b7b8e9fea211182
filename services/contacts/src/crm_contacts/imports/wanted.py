"""What a row wants of a contact: its cells, read and judged. Nothing here does I/O."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from service_kit.errors import InvalidError
from shared_events.contacts.contact import Email, Tags
from shared_events.identity import WhatsAppId, visible
from shared_events.requests import Name

from crm_contacts.contacts.documents import distinct_tags
from crm_contacts.custom_fields.models import CustomField
from crm_contacts.imports.columns import CUSTOM
from crm_contacts.imports.reading import Row

ReadPhone = Callable[[str], WhatsAppId]
"""Reads a phone as people type it; raises InvalidError."""

_LENGTHS = {"language": 35, "timezone": 64}
_judged_email = TypeAdapter[str](Email).validate_python
_PLAIN = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)")


def read_email(cell: str) -> str:
    """An e-mail in lower case; raises ValidationError.

    Judging one takes longer than the rest of its row. Of those whose part before the @ is plain a
    domain is judged once.
    """
    plain = _PLAIN.fullmatch(cell)
    if plain and len(plain[1]) <= _PLAIN_LENGTH and len(plain[2]) <= _PLAIN_LENGTH:
        return f"{plain[1]}@{_judged_domain(plain[2])}".lower()
    return _judged_email(cell).lower()


_PLAIN_LENGTH = 64


@lru_cache(maxsize=4096)
def _judged_domain(domain: str) -> str:
    return _judged_email(f"x@{domain}").removeprefix("x@")


_READ: dict[str, Callable[[Any], Any]] = {
    "name": TypeAdapter[str](Name).validate_python,
    "email": read_email,
    "tags": TypeAdapter[list[str]](Tags).validate_python,
}
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "1", "sim", "s", "verdadeiro"), True),
    **dict.fromkeys(("false", "no", "n", "0", "nao", "não", "falso"), False),
}
_OF_A_LIST = re.compile(r"[;,|]")
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row; `column` is the header of the cell, if it is one."""

    line: int
    column: str
    code: str
    message: str


@dataclass(slots=True)
class Wanted:
    """What one row wants. `fields` are the columns of a contact that it names."""

    line: int
    fields: dict[str, Any] = field(default_factory=dict)
    phone: WhatsAppId | None = None
    custom_fields: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads rows of a file whose columns say this."""

    headers: Sequence[str]
    targets: Sequence[str | None]
    definitions: Mapping[str, CustomField]
    read_phone: ReadPhone

    def read(self, rows: Iterable[Row], wanted: list[Wanted], errors: list[RowError]) -> None:
        """Add what the rows want, and what is wrong with those that are left out for it."""
        for row in rows:
            one, wrong = self._read(row)
            if wrong:
                errors += wrong
            else:
                wanted.append(one)

    def column(self, target: str) -> str:
        """The header of the column that says this; empty when none does."""
        return next((h for h, t in zip(self.headers, self.targets, strict=True) if t == target), "")

    def _read(self, row: Row) -> tuple[Wanted, list[RowError]]:
        wanted, errors = Wanted(row.line), list[RowError]()
        if len(row.cells) > len(self.headers):
            errors.append(RowError(row.line, "", "too_many_cells", "More cells than headers."))
        for header, target, cell in zip(self.headers, self.targets, row.cells, strict=False):
            if target is None or not cell:
                continue
            try:
                self._take(wanted, target, cell)
            except InvalidError as error:
                found = error.problem.errors[0]
                errors.append(RowError(row.line, header, found.code, found.message))
            except ValidationError as error:
                found_by_pydantic = error.errors(include_url=False, include_context=False)[0]
                kind = found_by_pydantic["type"]
                code = "invalid_email" if target == "email" and kind == "value_error" else kind
                errors.append(RowError(row.line, header, code, found_by_pydantic["msg"]))
        return wanted, errors

    def _take(self, wanted: Wanted, target: str, cell: str) -> None:
        if target.startswith(CUSTOM):
            key = target.removeprefix(CUSTOM)
            wanted.custom_fields[key] = _value(cell, self.definitions.get(key))
        elif target == "phone":
            wanted.phone = self.read_phone(cell)
        elif target == "tags":
            parts = [part.strip() for part in _OF_A_LIST.split(cell)]
            wanted.tags = distinct_tags(_READ["tags"](list(filter(None, parts))))
        elif target in _LENGTHS:
            most = _LENGTHS[target]
            if len(cell) > most:
                raise InvalidError.field(
                    target,
                    "string_too_long",
                    f"The text has at most {most} characters.",
                    max_length=most,
                )
            wanted.fields[target] = cell
        else:
            read = _READ[target](cell)
            if target == "name" and not visible(read):
                raise InvalidError.field("name", "string_too_short", "Nothing of it can be seen.")
            wanted.fields[target] = read


def _value(cell: str, definition: CustomField | None) -> Any:
    """A cell as its custom field has it; what does not fit stays text, and is refused later."""
    match definition.type if definition else "text":
        case "number":
            try:
                number = float(cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell)
            except ValueError:
                return cell
            if not math.isfinite(number):
                return cell
            return int(number) if number.is_integer() else number
        case "boolean":
            return _BOOLEANS.get(cell.casefold(), cell)
        case "multi_select":
            return [part.strip() for part in _OF_A_LIST.split(cell) if part.strip()]
        case _:
            return cell

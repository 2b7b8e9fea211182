"""Lines of CSV that are safe to open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable

# A spreadsheet takes such a cell for a formula, and carries it out. Source:
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-][0-9.,]+")
"""What begins alike and is none: phones above all."""


def lines(rows: Iterable[Iterable[str]]) -> str:
    """The rows as CSV; a cell that a spreadsheet would carry out has an apostrophe before it."""
    written = io.StringIO()
    csv.writer(written).writerows([neutral(cell) for cell in row] for row in rows)
    return written.getvalue()


def neutral(cell: str) -> str:
    """The cell, as text and nothing else."""
    is_formula = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell

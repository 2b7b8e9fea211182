"""Files of contacts as rows of text: CSV in the usual encodings and separators, or XLSX.

Nothing here knows what a column means. A file is read once, row by row, and never held whole;
whoever reads it does so in a thread, since XLSX takes its time.
"""

import codecs
import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, BinaryIO

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml.constants import ARC_CONTENT_TYPES, WORKSHEET_TYPE
from openpyxl.xml.functions import fromstring
from service_kit.errors import InvalidError

MAX_COLUMNS = 200
MAX_CELL = 16 * 1024
"""Characters of a cell: as many as all custom fields of a contact take bytes."""
_MAX_UNPACKED = 400 * 1024 * 1024
"""An XLSX file is an archive: what it unpacks to is bounded by what it says of itself."""
_MAX_BESIDE_ROWS = 100 * 1024 * 1024
"""So much of it may be no sheet: texts that cells share are in memory while the rows are read."""
_MAX_CONTENTS = 1024 * 1024
"""So large may be its list of what is what."""
_SEPARATORS = ";,\t"
SNIFFED = 64 * 1024
_ZIP = b"PK\x03\x04"
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row begins in its file, counted from 1, and what its cells say."""

    line: int
    cells: list[str]


def read(file: BinaryIO) -> Iterator[Row]:
    """The rows of a file that have something in them, the headers' first.

    Raises InvalidError `unreadable_file`, `file_too_large`, `too_many_columns` and `cell_too_long`.
    """
    file.seek(0)
    rows = _of_workbook(file) if file.read(len(_ZIP)) == _ZIP else _of_text(file)
    for line, cells in rows:
        while cells and not cells[-1]:
            cells.pop()
        if len(cells) > MAX_COLUMNS:
            raise _refused("too_many_columns", f"Line {line} has over {MAX_COLUMNS} columns.")
        if any(len(cell) > MAX_CELL for cell in cells):
            raise _refused("cell_too_long", f"A cell of line {line} is over {MAX_CELL} long.")
        if cells:
            yield Row(line, cells)


def _of_text(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, decoded as they are read."""
    encoding = _encoding(file)
    file.seek(0)
    beginning = file.read(SNIFFED).decode(encoding, errors="replace")
    file.seek(0)
    lines = io.TextIOWrapper(file, encoding, errors="replace", newline="")
    reader = csv.reader(lines, delimiter=_separator(beginning))
    line = 1
    try:
        for cells in reader:
            if line > 1 or not _says_separator(cells):
                yield line, [_plain(cell.replace("\0", "")) for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise _refused("unreadable_file", f"Line {line} cannot be read: {error}.") from None
    finally:
        if not file.closed:
            lines.detach()  # or it would close the file with itself


def _encoding(file: BinaryIO) -> str:
    """UTF-8, else what Windows makes of Latin-1, in which anything is some text.

    UTF-16, as spreadsheets write "Unicode text", says so by its first bytes.
    """
    file.seek(0)
    if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    file.seek(0)
    decoder, is_utf8 = codecs.getincrementaldecoder("utf-8")(), True
    while piece := file.read(SNIFFED):
        if b"\0" in piece:
            raise _refused("unreadable_file", "This is neither CSV nor XLSX.")
        is_utf8 = is_utf8 and _goes_on(decoder, piece)
    return "utf-8-sig" if is_utf8 and _goes_on(decoder, b"", final=True) else "cp1252"


def _goes_on(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(piece, final=final)
    except UnicodeDecodeError:
        return False
    return True


def _separator(beginning: str) -> str:
    """The one that the headers have most of, what stands in quotes aside."""
    headers = next((line for line in beginning.splitlines() if line.strip()), "")
    outside = "".join(headers.split('"')[::2])
    return max(_SEPARATORS, key=outside.count)


def _says_separator(cells: list[str]) -> bool:
    """Whether it is Excel's `sep=;`, which stands before the headers."""
    return bool(cells) and cells[0].lower() in ("sep=", *(f"sep={c}" for c in _SEPARATORS))


def _plain(cell: str) -> str:
    """A cell without blanks around it, and without the mark that keeps it from being a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def _of_workbook(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """The rows of an XLSX file's first sheet."""
    try:
        with zipfile.ZipFile(file) as archive:
            _check_size(archive)
        book = load_workbook(file, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some writers lie about them
        for line, values in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield line, [_text(value) for value in values]
    except InvalidError:
        raise
    # What openpyxl meets in a file that is none may be any of these, and more.
    except (InvalidFileException, zipfile.BadZipFile, ValueError, *_OF_A_BROKEN_BOOK):
        raise _refused("unreadable_file", "This XLSX file cannot be read.") from None


def _check_size(archive: zipfile.ZipFile) -> None:
    sizes = {one.filename: one.file_size for one in archive.infolist()}
    unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > _MAX_UNPACKED or sizes[ARC_CONTENT_TYPES] > _MAX_CONTENTS:
        raise _refused("file_too_large", "The file unpacks to too much.")
    # Where a part lies says nothing: a hostile file may have its texts among the sheets.
    kinds: dict[str, set[str]] = {}
    for part in fromstring(archive.read(ARC_CONTENT_TYPES)):
        name = part.get("PartName", "").removeprefix("/")
        kinds.setdefault(name, set()).add(part.get("ContentType", ""))
    sheets = (name for name, of_part in kinds.items() if of_part == {WORKSHEET_TYPE})
    if unpacked - sum(sizes.get(name, 0) for name in sheets) > _MAX_BESIDE_ROWS:
        raise _refused("file_too_large", "The file unpacks to too much.")


_OF_A_BROKEN_BOOK = (
    *(KeyError, IndexError, TypeError, AttributeError),
    *(SyntaxError, OSError, EOFError, zlib.error),
)


def _text(value: Any) -> str:
    """A cell as somebody would type it into a CSV file."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))  # phones are numbers to a spreadsheet
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return _plain(str(value).replace("\0", ""))


def in_batches(rows: Iterator[Row], size: int) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time."""
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _refused(code: str, detail: str) -> InvalidError:
    return InvalidError(code, detail)

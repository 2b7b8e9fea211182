"""A form with a file (RFC 7578), read as it comes: nothing but the piece in hand is held."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from service_kit.errors import InvalidError, MalformedError
from starlette.requests import Request

from crm_gateway.body import MAX_BODY_SECONDS
from crm_gateway.problems.errors import too_large, too_slow, unsupported_media_type

MEDIA_TYPE = "multipart/form-data"
MAX_FIELD_BYTES = 65_536
"""Of all fields of a form together, their names included."""
UPLOAD_SECONDS = 300.0
"""For all of it; between two chunks of it no longer than other bodies may take as a whole."""
_FILE_NAME = 255
"""Characters; of a longer name its end, which says what it is."""


@dataclass
class Form:
    """What a form says beside its file."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    """The name of the file; None when there is none."""


class FormReader:
    """Reads one form with a file in the field `file`, and gives the file piece by piece."""

    def __init__(self, http: Request, *, file_bytes: int, piece_bytes: int) -> None:
        """Raises HttpError 415 for what is no form, and 413 for one that says it is too large."""
        kind, options = parse_options_header(http.headers.get("content-type", ""))
        boundary = options.get("boundary")
        if kind.lower() != MEDIA_TYPE or not boundary:
            raise unsupported_media_type(MEDIA_TYPE)
        declared = http.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > file_bytes + 2 * MAX_FIELD_BYTES:
            raise too_large(file_bytes)
        self.form = Form()
        self._http = http
        self._file_bytes = file_bytes
        self._piece_bytes = piece_bytes
        self._ahead = bytearray()
        self._of_file = self._of_fields = 0
        self._name = ""
        self._text = bytearray()
        self._parser = PushMultipartParser(boundary, strict=True)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file, in pieces of one size but for the last; the form is complete after it.

        Raises HttpError 413 and 408, MalformedError for what is no form, and InvalidError for
        fields that are given twice.
        """
        async for chunk in self._chunks():
            self._read(chunk)
            while len(self._ahead) >= self._piece_bytes:
                yield bytes(self._ahead[: self._piece_bytes])
                del self._ahead[: self._piece_bytes]
        with _readable():
            self._parser.close()
        if self._ahead:
            yield bytes(self._ahead)

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. What its taker does meanwhile is not the sender's time."""
        stream = self._http.stream()
        until = asyncio.get_running_loop().time() + UPLOAD_SECONDS
        while True:
            now = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout_at(min(until, now + MAX_BODY_SECONDS)):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise too_slow() from None
            if chunk is None:
                return
            yield chunk

    def _read(self, chunk: bytes) -> None:
        with _readable():
            for event in self._parser.parse(chunk) if chunk else ():
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif event:
                    self._data(event)
                elif self._name != "file":
                    self.form.fields[self._name] = self._text.decode(errors="replace")
        if self._of_file > self._file_bytes or self._of_fields > MAX_FIELD_BYTES:
            raise too_large(self._file_bytes)

    def _begin(self, part: MultipartSegment) -> None:
        self._name, self._text = part.name, bytearray()
        self._of_fields += sum(len(name) + len(value) for name, value in part.headerlist)
        if self._name in self.form.fields or (self._name == "file" and self.form.filename):
            raise InvalidError.field([self._name], "repeated_field", "This is given twice.")
        if self._name == "file":
            printable = "".join(c for c in part.filename or "" if c.isprintable())
            self.form.filename = printable[-_FILE_NAME:] or "file"

    def _data(self, data: bytearray) -> None:
        if self._name == "file":
            self._of_file += len(data)
            self._ahead += data
        else:
            self._of_fields += len(data)
            self._text += data


@contextmanager
def _readable() -> Iterator[None]:
    """What cannot be read as a form, as our fault."""
    try:
        yield
    except MultipartError:
        raise _malformed() from None


def _malformed() -> MalformedError:
    return MalformedError("invalid_form", f"The body is not {MEDIA_TYPE}.")

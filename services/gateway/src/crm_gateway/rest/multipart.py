"""A form with a file (RFC 7578), read as it comes: nothing but the piece in hand is held."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
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
        kind, options = parse_options_header(http.headers.get("content-type"))
        if kind.decode("latin-1").lower() != MEDIA_TYPE:
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
        self._name: str | None = None
        self._complete = False
        try:
            self._parser = MultipartParser(
                options.get(b"boundary", b""),
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._finish,
                },
            )
        except FormParserError:
            raise _malformed() from None
        self._headers: dict[bytes, bytes] = {}
        self._header = bytearray()
        self._value = bytearray()
        self._text = bytearray()

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
        if not self._complete:
            raise _malformed()
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
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed() from None
        if self._of_file > self._file_bytes or self._of_fields > MAX_FIELD_BYTES:
            raise too_large(self._file_bytes)

    def _begin(self) -> None:
        self._headers, self._text, self._name = {}, bytearray(), None

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._of_fields += end - start
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._of_fields += end - start
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name in self.form.fields or (self._name == "file" and self.form.filename):
            raise InvalidError.field([self._name], "repeated_field", "This is given twice.")
        if self._name == "file":
            name = options.get(b"filename", b"").decode(errors="replace")
            printable = "".join(c for c in name if c.isprintable())
            self.form.filename = printable[:_FILE_NAME] or "file"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._of_file += end - start
            self._ahead += data[start:end]
        else:
            self._of_fields += end - start
            self._text += data[start:end]

    def _end(self) -> None:
        if self._name is not None and self._name != "file":
            self.form.fields[self._name] = self._text.decode(errors="replace")

    def _finish(self) -> None:
        self._complete = True


def _malformed() -> MalformedError:
    return MalformedError("invalid_form", f"The body is not {MEDIA_TYPE}.")

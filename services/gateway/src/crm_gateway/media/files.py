"""Files on their way: taken from a form into the store, given from the store as they are asked for.

Memory holds a piece of each at most.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from service_kit.errors import InvalidError, UnavailableError
from service_kit.media_links import MediaLinks
from service_kit.media_store import UNKNOWN_TYPE, FileTooLargeError, Intake, MediaStore
from starlette.requests import Request

from crm_gateway.problems.errors import HttpError, too_large, too_slow
from crm_gateway.rest.multipart import FormReader

_PIECE_BYTES = 65_536
_NO_NAME = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_NAME = 255
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


class Files:
    """What comes and goes as bytes: `links` lead to it."""

    def __init__(
        self, store: MediaStore, links: MediaLinks, *, max_bytes: int, seconds: float, at_once: int
    ) -> None:
        self.store = store
        self.links = links
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._room = asyncio.Semaphore(at_once)

    async def take(self, http: Request, tenant_id: str) -> dict[str, Any]:
        """Put the form's file into the tenant's store; returns what is known of it.

        Raises HttpError 408, 413 and 415, MalformedError for what is no form, InvalidError for a
        form without just one part `file`, UnavailableError when there is no room or no store.
        """
        reader = FormReader(http, file_bytes=self._max_bytes, piece_bytes=_PIECE_BYTES)
        if self._room.locked():
            raise UnavailableError("uploads_busy", "Too many uploads at once; try again shortly.")
        try:
            async with (
                self._room,
                asyncio.timeout(self._seconds),
                self.store.intake(self._max_bytes) as intake,
            ):
                filename = await _read_form(reader, intake)
                stored = await self.store.keep(tenant_id, intake)
        except FileTooLargeError:
            raise too_large(self._max_bytes) from None
        except TimeoutError:
            raise too_slow() from None
        except OSError:
            raise UnavailableError("store_unavailable", "Try again shortly.") from None
        return {
            "sha256": stored.sha256,
            "size": stored.size,
            "mime_type": stored.mime_type or UNKNOWN_TYPE,
            "filename": filename,
        }


async def _read_form(reader: FormReader, intake: Intake) -> str:
    """Hand the form's one file to the intake; returns its name."""
    async for piece in reader.pieces():
        await intake.add(piece)
    for name in reader.form.fields:
        raise InvalidError.field([name[:100]], "extra_forbidden", "The form has one part, `file`.")
    if reader.form.filename is None:
        raise InvalidError.field("file", "missing", "The form has one part, `file`.")
    return clean_name(reader.form.filename)


def clean_name(name: str) -> str:
    """A name for a file, whatever somebody called it: no path, nothing invisible, not too long."""
    last = re.split(r"[/\\]", _NO_NAME.sub("", name))[-1].strip()
    return "file" if last in ("", ".", "..") else last[-_LONGEST_NAME:]


def part_of(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int] | None:
    """Where the part that is asked for begins, and its length; None for the whole (RFC 9110, 14).

    What is no range is no question, and several at once are none we answer. Raises HttpError 416
    for one that lies outside.
    """
    asked = _RANGE.fullmatch(headers.get("range", ""))
    if asked is None or asked[0] == "bytes=-" or headers.get("if-range", etag) != etag:
        return None
    first, last = asked[1], asked[2]
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or start > end:
        outside = {"Content-Range": f"bytes */{size}"}
        raise HttpError(416, "range_not_satisfiable", "It has no such part.", headers=outside)
    return start, end - start + 1


def as_attachment(filename: str | None) -> str:
    """The Content-Disposition of a file that no browser shows in its place (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(clean_name(filename or ''), safe='')}"

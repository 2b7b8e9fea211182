"""The route of a subject export's archive: what the services gathered, and the files it names."""

from collections.abc import AsyncIterator
from typing import Any, get_args
from uuid import UUID

import orjson
from service_kit.errors import UnavailableError
from shared_events.contacts.subject_export import ReadSubjectExport, SubjectFile
from shared_events.jobs import FilePart
from shared_events.messaging.subject_export import ReadSubjectMessages, SubjectMessagesFile
from shared_events.requests import Principal
from shared_events.webhooks.subject_export import (
    MOST_AGGREGATES,
    ListSubjectDeliveries,
    SubjectDeliveries,
)
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from crm_gateway.media.endpoints import LinkedEndpoint
from crm_gateway.problems.errors import HttpError
from crm_gateway.subject_exports.archive import Archive

_PERSON: SubjectFile = "contact"
_MEDIA: SubjectMessagesFile = "media"
_TOLD_OF: tuple[SubjectMessagesFile, ...] = ("conversations", "sessions")
"""What there are events of, beside the person."""
_ZIP, _JSON = "application/zip", ".json"
_GONE = (404, 410)

Reading = ReadSubjectExport | ReadSubjectMessages


class ArchiveEndpoint(LinkedEndpoint):
    """Gives the archive to whoever has a link."""

    kind = "subject-export"

    async def __call__(self, http: Request, **values: Any) -> Response:
        """The archive, made as it is sent. What keeps it from beginning is a problem as any other.

        A failure behind that breaks the answer off, so that nobody takes it for whole.
        """
        export_id: UUID = values["export_id"]
        reader = _Reader(self, http, export_id, self.proved(http, export_id))
        person = await reader.part(ReadSubjectExport(export_id=export_id, file=_PERSON))
        headers = {
            "Content-Disposition": f'attachment; filename="subject-export-{export_id}.zip"',
            "Cache-Control": "no-store",
        }
        if http.method == "HEAD":
            return Response(headers=headers, media_type=_ZIP)
        return StreamingResponse(reader.archive(person), headers=headers, media_type=_ZIP)


class _Reader:
    """Reads what one archive is made of, in the name of its company."""

    def __init__(
        self, endpoint: LinkedEndpoint, http: Request, export_id: UUID, principal: Principal
    ) -> None:
        self._endpoint, self._http = endpoint, http
        self._export_id, self._principal = export_id, principal
        self._aggregates: list[UUID] = []

    async def part(self, request: Reading) -> FilePart:
        """A piece of a file; HttpError for what keeps its service from giving it."""
        told = await self._endpoint.told(self._http, request, self._principal)
        return FilePart.model_validate(told)

    async def archive(self, person: FilePart) -> AsyncIterator[bytes]:
        """The whole archive, piece by piece."""
        with Archive() as archive:
            async for name, chunks in self._files(person):
                if archive.has(name):  # sent more than once
                    continue
                with archive.file(name, compressed=name.endswith(_JSON)) as file:
                    async for chunk in chunks:
                        await run_in_threadpool(file.write, chunk)
                        yield archive.take()
        yield archive.take()

    async def _files(self, person: FilePart) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """The person, lists of all that is kept, and the files that these name."""
        self._note(person.content.encode())
        yield f"{_PERSON}{_JSON}", _whole(person)
        for request in self._lists():
            yield f"{request.file}{_JSON}", _as_list(self._lines(request))
        yield f"deliveries{_JSON}", _as_list(self._deliveries())
        media = ReadSubjectMessages(export_id=self._export_id, file=_MEDIA)
        async for lines in self._lines(media):
            for named in map(orjson.loads, lines.splitlines()):
                chunks = await self._file(UUID(named["media_id"]))
                if chunks is not None:
                    yield named["path"], chunks

    def _lists(self) -> list[Reading]:
        ours = [file for file in get_args(SubjectFile) if file != _PERSON]
        said = [file for file in get_args(SubjectMessagesFile) if file != _MEDIA]
        return [
            *(ReadSubjectExport(export_id=self._export_id, file=file) for file in ours),
            *(ReadSubjectMessages(export_id=self._export_id, file=file) for file in said),
        ]

    async def _lines(self, request: Reading) -> AsyncIterator[bytes]:
        """A file piece by piece, each some entries, a line of JSON each."""
        cursor: int | None = 0
        while cursor is not None:
            part = await self.part(request.model_copy(update={"cursor": cursor}))
            if part.content:
                content = part.content.encode()
                if request.file in _TOLD_OF:
                    self._note(content)
                yield content
            cursor = part.next_cursor

    def _note(self, lines: bytes) -> None:
        """Remember what these are about: by it what was told of them is found."""
        self._aggregates += [UUID(orjson.loads(line)["id"]) for line in lines.splitlines()]

    async def _deliveries(self) -> AsyncIterator[bytes]:
        """What was sent of the person, a line of JSON each."""
        for start in range(0, len(self._aggregates), MOST_AGGREGATES):
            some = self._aggregates[start : start + MOST_AGGREGATES]
            cursor: int | None = 0
            while cursor is not None:
                request = ListSubjectDeliveries(aggregate_ids=some, cursor=cursor)
                told = await self._endpoint.told(self._http, request, self._principal)
                page = SubjectDeliveries.model_validate(told)
                if page.data:
                    yield b"".join(one.model_dump_json().encode() + b"\n" for one in page.data)
                cursor = page.next_cursor

    async def _file(self, media_id: UUID) -> AsyncIterator[bytes] | None:
        """A file's bytes; None where it never came, or is gone."""
        try:
            place = await self._endpoint.located(self._http, media_id, self._principal)
        except HttpError as error:
            if error.status in _GONE:
                return None
            raise
        if place.sha256 is None or place.size is None:
            return None
        store = self._endpoint.backing.files.store
        try:
            return await store.read(self._principal.tenant_id, place.sha256, 0, place.size)
        except FileNotFoundError:
            return None
        except OSError:
            raise UnavailableError("store_unavailable", "Try again shortly.") from None


async def _whole(part: FilePart) -> AsyncIterator[bytes]:
    yield part.content.encode()


async def _as_list(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """One JSON array of all entries: no line breaks stand within one."""
    between = b"[\n"
    async for lines in pieces:
        yield between + lines.rstrip(b"\n").replace(b"\n", b",\n")
        between = b",\n"
    yield b"\n]\n" if between == b",\n" else b"[]\n"

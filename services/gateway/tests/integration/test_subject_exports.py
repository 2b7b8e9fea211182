"""The archive of a subject export, by its link; the services are played from memory."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4
from zipfile import ZipFile

import httpx
import pytest
from crm_gateway.rest.routes import ROUTES
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import Rest
from shared_events.channels.media import LocateMedia
from shared_events.contacts.subject_export import (
    CreateSubjectExport,
    GetSubjectExport,
    ReadSubjectExport,
)
from shared_events.messaging.subject_export import ReadSubjectMessages
from shared_events.requests import Principal, Problem, Reply
from shared_events.webhooks.subject_export import ListSubjectDeliveries, SubjectDelivery

EXPORT, CONTACT, CONVERSATION = uuid4(), uuid4(), uuid4()
PICTURE = b"\x89PNG" + bytes(range(256)) * 4096
# All routes take seconds to build.
ROWS = [row for row in ROUTES if "subject-export" in row.path]


class Services:
    """What contacts, messaging and channels hold of one company's person."""

    def __init__(self) -> None:
        self.tenant_id = ""
        self.pieces: dict[str, list[str]] = {
            "contact": [f'{{"id":"{CONTACT}","name":"Ana\\nSouza"}}\n'],
            "conversations": [f'{{"id":"{CONVERSATION}"}}\n'],
            "sessions": [f'{{"id":"{uuid4()}"}}\n' * 60] * 2,
            "notes": ['{"n":1}\n{"n":2}\n', '{"n":3}\n'],
            "messages": ['{"text":"' + "ã" * 60_000 + '"}\n'] * 3,
            "media": [],
        }
        self.places: dict[UUID, dict[str, Any]] = {}
        self.gone: str | None = None
        self.told_of: list[list[UUID]] = []

    async def call(self, request: Any, *, principal: Principal, **_: Any) -> Reply:
        """Answer as the services do."""
        if isinstance(request, CreateSubjectExport | GetSubjectExport):
            self.tenant_id = principal.tenant_id
            shown = {"id": str(EXPORT), "version": 1, "url": f"subject-export:{EXPORT}"}
            return Reply(value=shown)
        assert principal.tenant_id == self.tenant_id
        if isinstance(request, LocateMedia):
            place = self.places.get(request.media_id)
            return Reply(value=place) if place else self._missing("media")
        if isinstance(request, ListSubjectDeliveries):
            self.told_of.append(request.aggregate_ids)
            return Reply(value=_deliveries(request))
        assert isinstance(request, ReadSubjectExport | ReadSubjectMessages)
        if request.file == self.gone:
            return self._missing("subject_export")
        pieces = self.pieces.get(request.file, [])
        content = pieces[request.cursor] if pieces else ""
        more = request.cursor + 1 if request.cursor + 1 < len(pieces) else None
        return Reply(value={"content": content, "next_cursor": more})

    @staticmethod
    def _missing(noun: str) -> Reply:
        return Reply(problem=Problem(kind="not_found", code=f"{noun}_not_found", detail=""))


def _deliveries(request: ListSubjectDeliveries) -> dict[str, Any]:
    """Of the person: two pages, of one each. Of others: none."""
    if CONTACT not in request.aggregate_ids:
        return {"data": [], "next_cursor": None}
    sent = SubjectDelivery(
        event_id=uuid4(),
        event_type="contact.created",
        endpoint_host="example.com",
        status="delivered",
        attempts=request.cursor + 1,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        updated_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    more = 1 if request.cursor == 0 else None
    return {"data": [sent.model_dump(mode="json")], "next_cursor": more}


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def rest(
    make_settings: Callable[..., GatewaySettings],
    tmp_path: Path,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> Rest:
    settings = make_settings(media_store_url=tmp_path.as_uri(), media_base_url="http://api")
    rest = Rest(settings, ROWS)
    monkeypatch.setattr(rest.bus, "call", services.call)
    return rest


async def begun(rest: Rest) -> str:
    """A link to the archive."""
    response = await rest.send("POST", f"/contacts/{CONTACT}/subject-export")
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/subject-exports/{EXPORT}"
    link: str = (await rest.send("GET", f"/subject-exports/{EXPORT}")).json()["url"]
    assert link.startswith(f"http://api/api/v1/subject-exports/{EXPORT}/file?")
    return link


async def download(rest: Rest, link: str, method: str = "GET", **changed: str) -> httpx.Response:
    parts = urlsplit(link)
    asked = {**dict(parse_qsl(parts.query)), **changed}
    transport = httpx.ASGITransport(rest.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await client.request(method, parts.path, params=asked)


async def kept(rest: Rest, services: Services, content: bytes) -> UUID:
    """A file in the store."""
    async with rest.files.store.intake(2**21) as intake:
        await intake.add(content)
        stored = await rest.files.store.keep(services.tenant_id, intake)
    media_id = uuid4()
    services.places[media_id] = {
        "state": "stored",
        "sha256": stored.sha256,
        "size": stored.size,
        "mime_type": stored.mime_type,
    }
    return media_id


class TestArchive:
    async def test_holds_every_list_and_each_file_once(
        self, rest: Rest, services: Services
    ) -> None:
        link = await begun(rest)
        picture, pending, nobodys = await kept(rest, services, PICTURE), uuid4(), uuid4()
        lost = uuid4()
        services.places[pending] = {"state": "pending"}
        services.places[lost] = {"state": "stored", "sha256": "0" * 64, "size": 9}
        services.pieces["media"] = [
            json.dumps({"media_id": str(one), "path": f"media/{one}.png"}) + "\n"
            for one in (picture, pending, nobodys, lost, picture)
        ]
        response = await download(rest, link)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
        assert f'filename="subject-export-{EXPORT}.zip"' in response.headers["content-disposition"]
        archive = ZipFile(io.BytesIO(response.content))
        assert archive.testzip() is None
        assert archive.namelist() == [
            *("contact.json", "notes.json", "timeline.json", "trackings.json", "moves.json"),
            *("lists.json", "opt_outs.json", "conversations.json", "labels.json", "sessions.json"),
            *("scheduled.json", "messages.json", "deliveries.json", f"media/{picture}.png"),
        ]
        person = {"id": str(CONTACT), "name": "Ana\nSouza"}
        assert json.loads(archive.read("contact.json")) == person
        sent = json.loads(archive.read("deliveries.json"))
        assert [(one["endpoint_host"], one["attempts"]) for one in sent] == [
            ("example.com", 1),
            ("example.com", 2),
        ]
        assert [len(some) for some in services.told_of] == [100, 100, 22]
        assert services.told_of[0][:2] == [CONTACT, CONVERSATION]
        assert json.loads(archive.read("notes.json")) == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert json.loads(archive.read("timeline.json")) == []
        assert len(json.loads(archive.read("messages.json"))) == 3
        assert archive.read(f"media/{picture}.png") == PICTURE
        assert archive.getinfo("messages.json").compress_size < 10_000
        head = await download(rest, link, "HEAD")
        assert (head.status_code, head.content) == (200, b"")

    async def test_is_for_who_has_its_link_and_never_half(
        self, rest: Rest, services: Services
    ) -> None:
        link = await begun(rest)
        of_a_file = rest.files.links.link(services.tenant_id, EXPORT)
        for wrong in (
            {"signature": "x"},
            {"tenant": "other"},
            {"expires": "1"},
            {"signature": dict(parse_qsl(urlsplit(of_a_file).query))["signature"]},
        ):
            refused = await download(rest, link, **wrong)
            assert (refused.status_code, refused.json()["code"]) == (403, "invalid_link")
        assert (await download(rest, link, file="notes")).status_code == 400
        services.gone = "contact"
        assert (await download(rest, link)).status_code == 404
        services.gone = "messages"  # erased while somebody takes it
        with pytest.raises(Exception, match="subject_export_not_found"):
            await download(rest, link)

"""Files that come in by a form and go out piece by piece."""

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import starlette.requests
from crm_gateway.problems.errors import HttpError
from crm_gateway.rest import multipart
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import ID, Rest
from shared_events.contacts.contact_import import PART_BYTES, CreateImport, PutImportPart
from shared_events.requests import Problem, Reply, Request
from starlette.types import Message

FORM = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def api_alone(make_settings: Callable[..., GatewaySettings]) -> Rest:
    return Rest(make_settings())


@pytest.fixture
def rest(api_alone: Rest) -> Rest:
    api_alone.bus.asked.clear()
    api_alone.log_in()
    return api_alone


def form(*parts: tuple[str, bytes | str], filename: str = "c.csv") -> bytes:
    """A form of these fields; the one called `file` is a file."""
    written = b""
    for name, value in parts:
        of_file = f'; filename="{filename}"' if name == "file" else ""
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'
        written += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return written + b"--x--\r\n"


def brought(rest: Rest) -> tuple[bytes, CreateImport]:
    """The file as the service was brought it, and what it was asked to do with it."""
    *parts, request = rest.bus.asked
    assert isinstance(request, CreateImport)
    content = b""
    for position, part in enumerate(parts):
        assert isinstance(part, PutImportPart)
        assert (part.position, part.import_id) == (position, request.import_id)
        content += b64decode(part.content)
    return content, request


class TestUploads:
    async def test_go_to_their_service_in_pieces(self, rest: Rest) -> None:
        content = b"nome;telefone\r\n--y\r\n--\r\n" + bytes(range(256)) * 2000
        body = form(
            ("dry_run", "true"),
            ("file", content),
            ("mapping", '{"nome": "name", "telefone": null}'),
            ("upsert_key", "email"),
            filename="ã" * 300,
        )
        response = await rest.send("POST", "/imports", body, FORM)
        assert response.status_code == 201, response.text
        assert response.headers["location"] == f"/api/v1/imports/{ID}"
        read, request = brought(rest)
        assert len(rest.bus.asked) == len(content) // PART_BYTES + 2
        assert read == content and request.size == len(content)
        assert request.sha256 == hashlib.sha256(content).hexdigest()
        assert (request.dry_run, request.upsert_key) == (True, "email")
        assert request.mapping == {"nome": "name", "telefone": None}
        assert request.filename == "ã" * 255

    async def test_sent_again_with_their_key_are_the_same_import(self, rest: Rest) -> None:
        ids = []
        for key in ("k", "k", "other", None):
            rest.bus.asked.clear()
            headers = {"Idempotency_Key": key} if key else {}
            await rest.send("POST", "/imports", form(("file", b"a")), FORM, **headers)
            ids.append(brought(rest)[1].import_id)
            assert rest.bus.said["idempotency_key"] == key
        assert ids[0] == ids[1] and len(set(ids)) == 3

    @pytest.mark.parametrize(
        ("body", "content_type", "status", "code"),
        [
            (b"{}", "application/json", 415, "unsupported_media_type"),
            (b"a,b", "text/csv", 415, "unsupported_media_type"),
            (form(("file", b"a")), "multipart/form-data", 415, "unsupported_media_type"),
            (b"nonsense", FORM, 400, "invalid_form"),
            (form(("file", b"a"))[:-9], FORM, 400, "invalid_form"),
            (form(("dry_run", "true")), FORM, 422, "validation_failed"),
            (form(("dry_run", "x" * 70_000)), FORM, 413, "body_too_large"),
        ],
    )
    async def test_that_are_no_form_are_refused(
        self, rest: Rest, body: bytes, content_type: str, status: int, code: str
    ) -> None:
        assert await rest.refuses("POST", "/imports", body, content_type) == (status, code)

    @pytest.mark.parametrize(
        ("name", "value", "status", "code"),
        [
            ("dry_run", "perhaps", 422, "bool_parsing"),
            ("upsert_key", "cpf", 422, "literal_error"),
            ("mapping", '{"a": "password"}', 422, "string_pattern_mismatch"),
            ("mapping", "{", 400, "invalid_json"),
            ("sha256", "a" * 64, 422, "extra_forbidden"),
            ("import_id", str(uuid4()), 422, "extra_forbidden"),
            ("nome", "x", 422, "extra_forbidden"),
            ("upsert_key", "a\0", 422, "nul_character"),
            ("file", "twice", 422, "repeated_field"),
        ],
    )
    async def test_with_unfit_fields_make_no_import(
        self, rest: Rest, name: str, value: str, status: int, code: str
    ) -> None:
        response = await rest.send("POST", "/imports", form(("file", b"a"), (name, value)), FORM)
        problem = response.json()
        found = problem["errors"][0]["code"] if problem["errors"] else problem["code"]
        assert (response.status_code, found) == (status, code)
        assert not any(isinstance(each, CreateImport) for each in rest.bus.asked)

    async def test_too_large_are_refused_as_soon_as_it_is_known(
        self, rest: Rest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crm_gateway.rest.upload.MAX_FILE_BYTES", 1000)
        body = form(("file", b"a" * 1001))
        assert await rest.refuses("POST", "/imports", body, FORM) == (413, "body_too_large")
        allowed = form(("file", b"a" * 1000))
        assert (await rest.send("POST", "/imports", allowed, FORM)).status_code == 201
        rest.bus.asked.clear()
        said = b"a" * (1000 + 3 * multipart.MAX_FIELD_BYTES)
        assert await rest.refuses("POST", "/imports", said, FORM) == (413, "body_too_large")

    async def test_that_never_end_are_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        came = iter([form(("file", b"abc"))[:-9]])

        async def receive() -> Message:
            for chunk in came:
                return {"type": "http.request", "body": chunk, "more_body": True}
            more: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            return await more

        monkeypatch.setattr(multipart, "MAX_BODY_SECONDS", 0.05)
        scope = {"type": "http", "headers": [(b"content-type", FORM.encode())]}
        http = starlette.requests.Request(scope, receive)
        reader = multipart.FormReader(http, file_bytes=100, piece_bytes=2)
        pieces = []
        with pytest.raises(HttpError, match="408 body_too_slow"):
            async for piece in reader.pieces():
                pieces.append(piece)
        assert pieces == [b"ab"]


class TestDownloads:
    async def test_come_piece_by_piece(self, rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
        pieces = {0: ("a,b\r\n", 3), 3: ("é,2\r\n", 7), 7: ("x,3\r\n", None)}

        async def call(request: Request[Any], **said: Any) -> Reply:
            content, after = pieces[request.model_dump()["cursor"]]
            value = {"content": content, "next_cursor": after, "filename": "contacts.csv"}
            return Reply(value=value)

        monkeypatch.setattr(rest.bus, "call", call)
        response = await rest.send("GET", f"/exports/{ID}/file")
        assert response.text == "a,b\r\né,2\r\nx,3\r\n"
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.headers["content-disposition"] == 'attachment; filename="contacts.csv"'
        assert (await rest.send("HEAD", f"/exports/{ID}/file")).text == ""
        pieces[3] = ("é", 99)  # which is not there
        with pytest.raises((KeyError, httpx.HTTPError)):
            await rest.send("GET", f"/exports/{ID}/file")

    async def test_that_cannot_begin_are_problems(
        self, rest: Rest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def call(request: Request[Any], **said: Any) -> Reply:
            problem = Problem(kind="conflict", code="export_not_ready", detail="It runs.")
            return Reply(problem=problem)

        monkeypatch.setattr(rest.bus, "call", call)
        assert await rest.refuses("GET", f"/exports/{ID}/file") == (409, "export_not_ready")
        assert await rest.refuses("GET", f"/imports/{ID}/errors") == (409, "export_not_ready")

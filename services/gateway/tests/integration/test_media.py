"""Files through the gateway: taken as a form, given by a link; channels is played from memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from crm_gateway.rest.routes import ROUTES
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import Rest
from service_kit.media_links import MediaLinks
from service_kit.signing import Signatures
from shared_events.channels.media import LocateMedia, UploadMedia
from shared_events.requests import Problem, Reply

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 8
FORM = "multipart/form-data; boundary=edge"
# All routes take seconds to build, and what shares the event loop would lose its broker by them.
MEDIA = [row for row in ROUTES if row.path.startswith("/media")]
BIG = b"x" * (2**20 + 1)


def part(content: bytes, filename: str = "a.pdf", name: str = "file") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return b"--edge\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*args: Any, **named: Any) -> bytes:
    return part(*args, **named) + b"--edge--\r\n"


class Files:
    """What channels knows of files: whose they are."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, UUID], dict[str, Any]] = {}

    async def call(self, request: Any, *, principal: Any, **_: Any) -> Reply:
        """Answer a request about files."""
        if isinstance(request, UploadMedia):
            media_id = uuid4()
            file = {**request.model_dump(), "state": "stored"}
            self.known[principal.tenant_id, media_id] = file
            url = f"media:{media_id}"
            said = "media:" + str(media_id)
            return Reply(value={"id": str(media_id), "url": url, "content": said, **file})
        assert isinstance(request, LocateMedia)
        found = self.known.get((principal.tenant_id, request.media_id))
        if found is None:
            return Reply(problem=Problem(kind="not_found", code="media_not_found", detail=""))
        return Reply(value=found)


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def rest(
    make_settings: Callable[..., GatewaySettings],
    tmp_path: Path,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> Rest:
    settings = make_settings(media_store_url=tmp_path.as_uri(), media_base_url="http://api")
    rest = Rest(settings, MEDIA)
    monkeypatch.setattr(rest.bus, "call", files.call)
    return rest


async def uploaded(rest: Rest, content: bytes = PDF, filename: str = "a.pdf") -> dict[str, Any]:
    response = await rest.send("POST", "/media", form(content, filename), FORM)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/api/v1/media/{body['id']}"
    return body


async def download(
    rest: Rest, url: str, method: str = "GET", query: dict[str, str] | None = None, **headers: str
) -> httpx.Response:
    """What somebody gets by a link, without a login; `query` takes the place of its parts."""
    parts = urlsplit(url)
    asked = {**dict(parse_qsl(parts.query)), **(query or {})}
    transport = httpx.ASGITransport(rest.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.request(method, parts.path, params=asked, headers=named)


class TestUploads:
    async def test_comes_back_by_its_link_whole_and_in_parts(self, rest: Rest) -> None:
        file = await uploaded(rest)
        assert (file["mime_type"], file["size"]) == ("application/pdf", len(PDF))
        assert file["url"].startswith(f"http://api/api/v1/media/{file['id']}/file?")
        assert file["content"] == f"media:{file['id']}"  # what somebody wrote stays as it is
        whole = await download(rest, file["url"])
        assert (whole.status_code, whole.content) == (200, PDF)
        assert whole.headers["content-type"] == "application/pdf"
        assert whole.headers["x-content-type-options"] == "nosniff"
        assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''a.pdf"
        etag = whole.headers["etag"]
        for asked, start, end in (
            ("bytes=10-19", 10, 20),
            ("bytes=2000-", 2000, len(PDF)),
            ("bytes=-5", len(PDF) - 5, len(PDF)),
            ("bytes=0-999999", 0, len(PDF)),
        ):
            some = await download(rest, file["url"], range=asked, if_range=etag)
            assert (some.status_code, some.content) == (206, PDF[start:end])
            assert some.headers["content-range"] == f"bytes {start}-{end - 1}/{len(PDF)}"
        for asked, tag in (("bytes=0-1,3-4", etag), ("lines=1-2", etag), ("bytes=0-1", '"old"')):
            assert (await download(rest, file["url"], range=asked, if_range=tag)).content == PDF
        outside = await download(rest, file["url"], range=f"bytes={len(PDF)}-")
        assert (outside.status_code, outside.headers["content-range"]) == (
            416,
            f"bytes */{len(PDF)}",
        )
        head = await download(rest, file["url"], "HEAD")
        assert (head.content, head.headers["content-length"]) == (b"", str(len(PDF)))

    async def test_empty_and_largest(self, rest: Rest) -> None:
        for content in (b"", b"y" * 2**20):
            file = await uploaded(rest, content)
            assert file["mime_type"] == "application/octet-stream"
            assert (await download(rest, file["url"])).content == content

    @pytest.mark.parametrize(
        ("body", "content_type", "refusal"),
        [
            (b"{}", "application/json", (415, "unsupported_media_type")),
            (form(PDF), "multipart/form-data", (415, "unsupported_media_type")),
            (form(BIG + b"z" * 9000), FORM, (413, "body_too_large")),
            (form(BIG), FORM, (413, "body_too_large")),
            (b"--edge--\r\n", FORM, (422, "validation_failed")),
            (form(PDF, name="files"), FORM, (422, "validation_failed")),
            (part(PDF) + form(PDF), FORM, (422, "validation_failed")),
            (part(PDF), FORM, (400, "invalid_form")),
            (b"nothing like it", FORM, (400, "invalid_form")),
        ],
    )
    async def test_refuses(
        self, rest: Rest, files: Files, body: bytes, content_type: str, refusal: tuple[int, str]
    ) -> None:
        response = await rest.send("POST", "/media", body, content_type)
        assert response.headers["content-type"] == "application/problem+json"
        found = response.json()
        assert (response.status_code, found["code"]) == refusal
        assert files.known == {}

    async def test_nobody_unknown_is_read(self, rest: Rest) -> None:
        rest.token = "nobody's"
        response = await rest.send("POST", "/media", b"no form at all", "text/plain")
        assert response.status_code == 401

    @pytest.mark.parametrize(
        ("name", "cleaned"),
        [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\a\\preço final.html", "preço final.html"),
            ("..", "file"),
            ("", "file"),
            ("a\x00b\x7f.pdf", "ab.pdf"),
            ("ã" * 300 + ".pdf", "ã" * 251 + ".pdf"),
        ],
    )
    async def test_a_hostile_name_is_only_a_name(self, rest: Rest, name: str, cleaned: str) -> None:
        file = await uploaded(rest, b"<html>", name)
        assert file["filename"] == cleaned
        told = (await download(rest, file["url"])).headers["content-disposition"]
        assert told.isascii()
        assert not set('\r\n/\\"') & set(told)


class TestLinks:
    async def test_are_for_one_file_of_one_company_for_a_while(self, rest: Rest) -> None:
        mine = await uploaded(rest)
        rest.log_in()
        other = await uploaded(rest)
        mine_parts = dict(parse_qsl(urlsplit(mine["url"]).query))
        other_parts = dict(parse_qsl(urlsplit(other["url"]).query))
        for tampered in (
            {"signature": "0" * 64},
            {"signature": ""},
            {"tenant": other_parts["tenant"]},
            {"signature": other_parts["signature"]},
            other_parts,
            {"expires": str(int(mine_parts["expires"]) + 1)},
            {"expires": "٣"},
        ):
            refused = await download(rest, mine["url"], query=tampered)
            assert (refused.status_code, refused.json()["code"]) == (403, "invalid_link")
        links = rest.files.links
        media_id = UUID(mine["id"])
        stale = MediaLinks(links.signatures, "http://api", -1)
        foreign = MediaLinks(Signatures("somebody else's key"), "http://api", 60)
        for maker in (stale, foreign):
            url = maker.link(mine_parts["tenant"], media_id)
            assert (await download(rest, url)).status_code == 403
        theirs = links.link(other_parts["tenant"], media_id)
        assert (await download(rest, theirs)).json()["code"] == "media_not_found"
        assert (await download(rest, mine["url"], query={"x": "1"})).status_code == 400

    async def test_lead_nowhere_until_there_is_a_file(self, rest: Rest, files: Files) -> None:
        file = await uploaded(rest)
        (known,) = files.known.values()
        for state in ("pending", "failed"):
            known.update(state=state, sha256=None)
            refused = await download(rest, file["url"])
            assert (refused.status_code, refused.json()["code"]) == (409, f"media_{state}")

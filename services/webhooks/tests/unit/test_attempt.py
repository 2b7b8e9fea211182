"""What counts as delivered, and how each fault is called, against a hostile receiver."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network

import aiohttp
import pytest
from crm_webhooks.deliveries import attempt, schedule
from service_kit.dialling import open_session
from service_kit.egress import Egress

LOOPBACK = Egress([ip_network("127.0.0.0/8")])
TIMEOUT = 0.5
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(serve: Serve) -> AsyncIterator[str]:
    """A TCP server that reads a request and then does what `serve` does."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def saying(*parts: bytes, every: float = 0.0, forever: bytes = b"") -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
        await writer.drain()
        while forever:
            await asyncio.sleep(every)
            writer.write(forever)
            await writer.drain()

    return serve


async def post(url: str) -> attempt.Result:
    async with open_session(LOOPBACK) as session:
        return await attempt.post(session, url, {}, b"{}", timeout=TIMEOUT)


@pytest.mark.parametrize(("length", "truncated"), [(10, False), (2**16, False), (2**16 + 1, True)])
async def test_an_attempt_says_that_a_body_was_cut(length: int, truncated: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
    async with hostile(saying(head, b"x" * length)) as url:
        result = await post(url)
    assert (result.error, result.truncated) == (None, truncated)


def unforeseen(*_: object, **__: object) -> None:
    raise RuntimeError("nobody foresaw this")


OK = b"HTTP/1.1 200 OK\r\n"


class TestPost:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (200, None),
            (201, None),
            (204, None),
            (299, None),
            (301, "http_3xx"),
            (302, "http_3xx"),
            (304, "http_3xx"),
            (307, "http_3xx"),
            (308, "http_3xx"),
            (400, "http_4xx"),
            (404, "http_4xx"),
            (410, "http_4xx"),
            (500, "http_5xx"),
        ],
    )
    async def test_only_2xx_is_delivered(self, status: int, error: str | None) -> None:
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
        async with hostile(saying(answer)) as url:
            result = await post(url)
        assert (result.status, result.error) == (status, error)

    async def test_a_body_that_never_ends_is_cut_off(self) -> None:
        async with hostile(saying(OK + b"\r\n", forever=b"x" * 65536)) as url:
            result = await post(url)
        assert result.delivered
        assert result.excerpt == "x" * 256

    async def test_a_dripping_body_is_delivered_by_the_deadline(self) -> None:
        async with hostile(saying(OK + b"\r\n", forever=b"x", every=0.05)) as url:
            async with asyncio.timeout(60):
                result = await post(url)
        assert result.delivered

    @pytest.mark.parametrize(
        ("serve", "error"),
        [
            (saying(OK, forever=b"X: y\r\n", every=0.05), "timeout"),
            (saying(forever=b"H", every=5), "timeout"),
            (saying(), "reset"),
            (saying(OK), "reset"),
            (saying(b"hello\r\n\r\n"), "protocol"),
            (saying(OK + b"X: " + b"y" * 20_000 + b"\r\n\r\n"), "protocol"),
        ],
    )
    async def test_names_the_fault(self, serve: Serve, error: str) -> None:
        async with hostile(serve) as url:
            result = await post(url)
        assert (result.status, result.error) == (None, error)

    async def test_what_fails_after_the_status_changes_nothing_about_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schedule, "retry_after", unforeseen)
        async with hostile(saying(OK + b"Content-Length: 0\r\n\r\n")) as url:
            assert (await post(url)).delivered

    async def test_what_nobody_foresaw_is_an_attempt_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aiohttp.ClientSession, "post", unforeseen)
        result = await post("http://127.0.0.1/")
        assert (result.status, result.error) == (None, "internal")

    async def test_nobody_listening_is_a_connect_failure(self) -> None:
        async with hostile(saying()) as url:
            pass
        assert (await post(url)).error == "connect"


class TestResult:
    @pytest.mark.parametrize(
        ("status", "pause"),
        [(429, 5.0), (502, 5.0), (503, 5.0), (504, 5.0), (500, None), (404, None), (200, None)],
    )
    def test_only_who_is_overrun_is_left_alone(self, status: int, pause: float | None) -> None:
        result = attempt.Result(datetime.now(UTC), 0.1, status, "x", retry_after=5.0)
        assert result.pause == pause


class TestSignedHeaders:
    def test_ours_win(self) -> None:
        headers = attempt.signed_headers({"X-Team": "a"}, [b"k"], "id", b"{}", trace={})
        assert headers["webhook-id"] == "id"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        assert headers["X-Team"] == "a"

"""What a hostile client sends, byte for byte: it is refused cleanly, and the next one served."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import pytest
from crm_gateway.settings import GatewaySettings
from crm_testing.raw_http import Listener, served
from crm_testing.scenes.gateway import Rest

JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"
HIDDEN = b"DELETE /api/v1/contacts/0190b5a2-0000-7000-8000-000000000000 HTTP/1.1\r\nHost: x\r\n\r\n"


class Door:
    """The API behind a socket, and who asks it."""

    def __init__(self, rest: Rest, listener: Listener) -> None:
        self._rest, self.listener = rest, listener
        self.bearer = f"Host: x\r\nAuthorization: Bearer {rest.token}\r\n".encode()

    async def send(self, raw: bytes) -> tuple[list[int], int]:
        """The statuses that are answered until the connection is closed, and how much was asked."""
        before = len(self._rest.bus.asked)
        answered = await self.listener.send(raw)
        statuses = [int(part[:3]) for part in answered.split(b"HTTP/1.1 ")[1:]]
        return statuses, len(self._rest.bus.asked) - before

    async def serves(self) -> bool:
        """Whether an ordinary request is answered."""
        return await self.send(get(b"/api/v1/contacts", self.bearer)) == ([200], 1)


def get(path: bytes, headers: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + headers + b"Connection: close\r\n\r\n"


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /api/v1/contacts HTTP/1.1\r\n" + headers + b"\r\n" + body


@pytest.fixture(scope="module")
async def door(make_settings: Callable[..., GatewaySettings]) -> AsyncIterator[Door]:
    rest = Rest(make_settings())
    async with served(rest.app) as listener:
        yield Door(rest, listener)


class TestSmuggling:
    """RFC 9112, 6.3 and 11.2: who reads a length another way than a proxy reads another request."""

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            (b"Content-Length: 5\r\n" + CHUNKED, LAST),
            (CHUNKED + b"Content-Length: 5\r\n", LAST),
            (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}"),
            (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"),
            (b"Content-Length: 2, 2\r\n", b"{}"),
            (b"Content-Length: +2\r\n", b"{}"),
            (b"Content-Length: -2\r\n", b"{}"),
            (b"Content-Length: 0x2\r\n", b"{}"),
            (b"Content-Length: 99999999999999999999999\r\n", b"{}"),
            (b"Content-Length : 2\r\n", b"{}"),
            (b"Transfer-Encoding: xchunked\r\n", LAST),
            (b"Transfer-Encoding: chunked, identity\r\n", LAST),
            (CHUNKED + b"Transfer-Encoding: identity\r\n", LAST),
            (CHUNKED, b"0x2\r\n{}\r\n" + LAST),
            (CHUNKED, b"-1\r\n{}\r\n" + LAST),
            (CHUNKED, b"FFFFFFFFFFFFFFFFFF\r\n{}\r\n" + LAST),
            (CHUNKED, b"2\n{}\n0\n\n"),
            (b"X: a\rTransfer-Encoding: chunked\r\n", LAST),
            (b"X: a\nContent-Length: 2\r\n", b"{}"),
            (b"X: a\r\n Transfer-Encoding: chunked\r\n", LAST),
            (b"X: a\0b\r\nContent-Length: 2\r\n", b"{}"),
            (b"X\xc3\xa9: a\r\nContent-Length: 2\r\n", b"{}"),
            (b": a\r\nContent-Length: 2\r\n", b"{}"),
        ],
    )
    async def test_is_refused_and_what_comes_behind_it_is_not_read(
        self, door: Door, headers: bytes, body: bytes
    ) -> None:
        statuses, asked = await door.send(post(door.bearer + JSON + headers, body + HIDDEN))
        assert (statuses, asked) == ([400], 0)
        assert await door.serves()

    async def test_a_request_within_a_body_is_a_body(self, door: Door) -> None:
        length = b"Content-Length: %d\r\n" % len(HIDDEN)
        closing = b"Connection: close\r\n"
        raw = post(door.bearer + JSON + length + closing, HIDDEN)
        assert await door.send(raw) == ([400], 0)
        raw = raw.replace(b"POST", b"GET", 1)
        assert await door.send(raw) == ([200], 1)

    @pytest.mark.parametrize(
        "raw",
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /api/v1/contacts HTTP/1.1\n\n",
            b"GET /api/v1/contacts\xff HTTP/1.1\r\n\r\n",
            b"G\0T /api/v1/contacts HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x00\xf0\x01\x00\x00\xec\x03\x03" + b"x" * 100,
            b"GET /" + b"a" * 2**17 + b" HTTP/1.1\r\n\r\n",
        ],
        ids=["HTTP/2", "bare LF", "no ASCII", "NUL", "TLS", "long path"],
    )
    async def test_what_is_no_request_is_refused(self, door: Door, raw: bytes) -> None:
        assert await door.send(raw) == ([400], 0)
        assert await door.serves()


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            b"//api/v1/contacts",
            b"/api/v1//contacts",
            b"/api/v1/contacts/",
            b"/api/v1/contacts/..",
            b"/api/v1/x/../contacts",
            b"/api/v1/%2e%2e/v1/contacts",
            b"/api/v1/contacts%2f",
            b"/api/v1/contacts%00",
            b"/api/v1/contacts/%00",
            b"/api/v1/contacts/%ff",
            b"/api/v1/contacts/%",
            b"/api/v1/contacts;x",
            b"/api/v1/contacts\\..\\x",
            b"/API/v1/contacts",
            b"/api/v1/webhooks/waha/../../contacts",
            b"/docs/assets/../../etc/passwd",
            b"/docs/assets/%2e%2e/%2e%2e/pyproject.toml",
            b"/docs/assets/..%2f..%2f..%2fetc/passwd",
            b"/docs/assets//etc/passwd",
            b"/api/v1/contacts/x%2f..%2fy",
            b"/api/v1/contacts/%2e%2e%2f%2e%2e%2fhealth",
            b"/api/v1/contacts/%252e%252e",
            b"/api/v1/contacts/0190b5a2-0000-7000-8000-000000000000%2f",
            b"*",
        ],
    )
    async def test_that_are_not_spelt_as_ours_lead_nowhere(self, door: Door, path: bytes) -> None:
        assert await door.send(get(path, door.bearer)) == ([404], 0)

    async def test_another_spelling_of_ours_asks_for_the_same_rights(self, door: Door) -> None:
        for path in (b"/api/v1%2fcontacts", b"/api/v1/cont%61cts", b"http://x/api/v1/contacts"):
            assert await door.send(get(path, b"Host: x\r\n")) == ([401], 0)


class TestCredentials:
    @pytest.mark.parametrize(
        "headers",
        [
            b"Authorization: Bearer\r\n",
            b"Authorization: Bearer \r\n",
            b"Authorization: Basic YW5hOmFuYQ==\r\n",
            b"Authorization: Bearer a.b.c\r\n",
            b"Authorization: Bearer \xff\xfe\r\n",
            b"Authorization: Bearer " + b"A" * 100_000 + b"\r\n",
            b"Authorization: Bearer " + b"." * 10_000 + b"\r\n",
            b"Cookie: access_token=x\r\n",
        ],
    )
    async def test_that_are_none_are_refused(self, door: Door, headers: bytes) -> None:
        request = get(b"/api/v1/contacts", b"Host: x\r\n" + headers)
        assert await door.send(request) == ([401], 0)

    async def test_the_first_of_two_is_not_helped_by_the_second(self, door: Door) -> None:
        two = b"Host: x\r\nAuthorization: Bearer x\r\n" + door.bearer.partition(b"\r\n")[2]
        assert await door.send(get(b"/api/v1/contacts", two)) == ([401], 0)

    async def test_in_the_path_count_for_nothing(self, door: Door) -> None:
        token = door.bearer.split()[-1]
        for name in (b"access_token", b"token", b"api_key"):
            path = b"/api/v1/contacts?" + name + b"=" + token
            assert await door.send(get(path, b"Host: x\r\n")) == ([401], 0)


class TestEncodings:
    @pytest.mark.parametrize(
        ("kind", "body", "status"),
        [
            (b"application/json; charset=utf-16", '{"name": "Ana"}'.encode("utf-16"), 400),
            (b"application/json", '{"name": "Ana"}'.encode("utf-32"), 400),
            (b"application/json", '{"name": "Zé"}'.encode("latin-1"), 400),
            (b"application/json", b"\xef\xbb\xbf" + b'{"name": "Ana"}', 400),
            (b"application/json", b'{"name": "\xed\xa0\xbd"}', 400),
            (b"application/json", b'{"name": "\xc0\xaf"}', 400),
            (b"application/json", b"\x1f\x8b\x08\x00\x00", 400),
            (b"application/json\r\nContent-Encoding: gzip", gzip.compress(b" " * 2**24), 415),
            (b"application/json\r\nContent-Encoding: gzip, gzip", b'{"name": "Ana"}', 415),
            (b"application/json\r\nContent-Encoding: br", b'{"name": "Ana"}', 415),
            (b"application/x-www-form-urlencoded", b"name=Ana", 415),
            (b"text/plain", b'{"name": "Ana"}', 415),
            (b"multipart/form-data; boundary=x", b"--x--", 415),
        ],
    )
    async def test_other_than_ours_are_refused(
        self, door: Door, kind: bytes, body: bytes, status: int
    ) -> None:
        """Nothing is unpacked, so that nothing small can become large."""
        length = b"Content-Length: %d\r\nConnection: close\r\n" % len(body)
        headers = door.bearer + b"Content-Type: " + kind + b"\r\n" + length
        assert await door.send(post(headers, body)) == ([status], 0)


class TestSlow:
    async def test_who_sends_nothing_more_keeps_nobody_waiting(self, door: Door) -> None:
        """Of 200 connections each stands within its headers or its body; others are served."""
        stuck = []
        for number in range(200):
            _, writer = await door.listener.connect()
            head = post(door.bearer + JSON + b"Content-Length: 1000000\r\n", b'{"name": "')
            writer.write(head if number % 2 else head[:-20])
            stuck.append(writer)
        ordinary = get(b"/api/v1/contacts", door.bearer)
        answers = await asyncio.gather(*(door.listener.send(ordinary) for _ in range(20)))
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        for writer in stuck:
            writer.close()

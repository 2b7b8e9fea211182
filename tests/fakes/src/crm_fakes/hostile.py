"""A customer's endpoint at its worst: it speaks TCP and TLS by itself, and breaks both.

What a decent endpoint answers is `WebhookReceiver`'s. Here a visit is answered by a fault, a
coroutine that may do anything to the connection; the commonest ones are below.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import count

from crm_fakes.journal import Journal
from crm_fakes.serving import TcpServer

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
_BLOCK = b"x" * 65_536


@dataclass(slots=True)
class Visit:
    """One request as it came. Times are seconds of the event loop's clock.

    `connection` counts connections, from 1. `ended_at` is when we were through with it or the
    sender hung up (`hung_up`), None while it is answered.
    """

    connection: int
    path: str
    id: str
    body: bytes
    arrived_at: float
    ended_at: float | None = None
    hung_up: bool = False


class Wire:
    """The open connection of a visit, for a fault to abuse."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.closing = False

    async def say(self, *parts: bytes) -> None:
        """Send bytes; raises ConnectionError once the other side has gone."""
        for part in parts:
            self._writer.write(part)
        await self._writer.drain()

    async def repeat(self, part: bytes, every: float = 0.0) -> None:
        """Send the same bytes for ever, `every` so many seconds, until the other side has gone."""
        while True:
            await self.say(part)
            await asyncio.sleep(every)

    async def gone(self) -> None:
        """Return once the other side has hung up."""
        while await self._reader.read(65_536):
            pass
        raise ConnectionResetError

    def close(self) -> None:
        """Say no more on this connection."""
        self.closing = True

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self._writer.transport.abort()
        self.closing = True


Fault = Callable[[Wire], Awaitable[None]]


def saying(*parts: bytes, close: bool = False) -> Fault:
    """Say exactly these bytes, then keep the connection, or close it."""

    async def fault(wire: Wire) -> None:
        await wire.say(*parts)
        if close:
            wire.close()

    return fault


def dripping(*parts: bytes, drop: bytes = b"x", every: float = 0.05) -> Fault:
    """Say this, then a drop now and then, for ever."""

    async def fault(wire: Wire) -> None:
        await wire.say(*parts)
        await wire.repeat(drop, every)

    return fault


def resetting(*parts: bytes) -> Fault:
    """Say this, then reset the connection."""

    async def fault(wire: Wire) -> None:
        await wire.say(*parts)
        wire.reset()

    return fault


def flooding(*parts: bytes, flood: bytes = _BLOCK) -> Fault:
    """Say this, then the flood as fast as it is taken, for ever."""
    return dripping(*parts, drop=flood, every=0.0)


async def silent(wire: Wire) -> None:
    """Say nothing until the other side has had enough."""
    await wire.gone()


def late(release: asyncio.Event, *parts: bytes) -> Fault:
    """Answer only once `release` is set, whoever still listens."""

    async def fault(wire: Wire) -> None:
        await release.wait()
        await wire.say(*parts)

    return fault


ENDLESS_BODY = flooding(OK + b"\r\n")
DRIPPING_BODY = dripping(OK + b"\r\n")
DRIPPING_HEADERS = dripping(OK, drop=b"X: y\r\n")
INTERIM_FLOOD = flooding(flood=b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
HUGE_HEADER = saying(OK + b"X-Huge: " + b"y" * 1_048_576 + b"\r\n\r\n", close=True)
MANY_HEADERS = flooding(OK, flood=b"X-Header: value\r\n" * 1000)
BAD_CHUNKS = saying(
    OK + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\nnonsense\r\n", close=True
)
NO_HTTP = saying(b"hello\r\n\r\n", close=True)


class HostileReceiver(TcpServer):
    """`async with HostileReceiver() as hostile: hostile.answer(ENDLESS_BODY)`.

    Each request takes the next fault, or else `default`. With `tls` it wants TLS; another context
    may be set while it runs, for new connections. `stall` takes connections and never says a word,
    not even in a handshake. Stopping and starting again keeps the port.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        stall: bool = False,
    ) -> None:
        self.host = host
        self.tls = tls
        self.stall = stall
        self.default: Fault = saying(EMPTY)
        self.visits: Journal[Visit] = Journal()
        self.connections = 0
        self._faults: deque[Fault] = deque()
        self._numbers = count(1)
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self.tls or self.stall else 'http'}://{self.host}:{self.port}/"

    def answer(self, *faults: Fault) -> None:
        """Do this to the next requests, one after the other."""
        self._faults.extend(faults)

    def most_at_once(self) -> int:
        """The most visits there were at one time."""
        ends = [(visit.ended_at, -1) for visit in self.visits if visit.ended_at is not None]
        most = now = 0
        for _, change in sorted([*((visit.arrived_at, 1) for visit in self.visits), *ends]):
            now += change
            most = max(most, now)
        return most

    def most_within(self, seconds: float) -> int:
        """The most visits that arrived within any span of so many seconds."""
        return most_within((visit.arrived_at for visit in self.visits), seconds)

    async def listen(self) -> asyncio.Server:
        """Open the port."""
        return await asyncio.start_server(self._connected, self.host, self.port)

    async def cut(self) -> None:
        """End the visits there are."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            if self.stall:
                await Wire(reader, writer).gone()
            if self.tls is not None:
                await writer.start_tls(self.tls)
            await self._serve(next(self._numbers), reader, writer)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        wire = Wire(reader, writer)
        while not wire.closing:
            visit = await self._request(connection, reader)
            fault = self._faults.popleft() if self._faults else self.default
            try:
                await fault(wire)
            except (ConnectionError, ssl.SSLError):
                visit.hung_up = True
                return
            finally:
                visit.ended_at = asyncio.get_running_loop().time()
                self.visits.touch(visit)

    async def _request(self, connection: int, reader: asyncio.StreamReader) -> Visit:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (h.partition(":") for h in head[1:])
        }
        visit = Visit(
            connection=connection,
            path=head[0].split(" ")[1],
            id=headers.get("webhook-id", ""),
            body=await reader.readexactly(int(headers.get("content-length", 0))),
            arrived_at=asyncio.get_running_loop().time(),
        )
        self.visits.append(visit)
        return visit


def most_within(moments: Iterable[float], seconds: float) -> int:
    """The most of these moments that lie within any span of so many seconds."""
    window: deque[float] = deque()
    most = 0
    for moment in sorted(moments):
        window.append(moment)
        while moment - window[0] >= seconds:
            window.popleft()
        most = max(most, len(window))
    return most

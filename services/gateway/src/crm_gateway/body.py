"""Reading request bodies within limits of size, time and memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from service_kit.errors import UnavailableError
from service_kit.shares import Shares
from starlette.requests import ClientDisconnect, Request

from crm_gateway.problems.errors import too_large, too_slow

MAX_BODY_BYTES = 1_048_576
MAX_BODY_SECONDS = 20.0
SMALL_BODY_BYTES = 65_536
"""As much as a connection's buffers hold anyway; nearly all bodies are shorter."""
LARGE_AT_ONCE = 16
"""Places. With what is made of them bodies take some 3 MB each, of the 384 MB of a process; one
    company has half of the places at most."""


class _Large:
    """Places for large bodies, shared by who sends them."""

    def __init__(self) -> None:
        self._held = Shares()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def place(self, whose: str) -> AsyncIterator[None]:
        """A place, once there is one that is theirs."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._held.has_room(whose, LARGE_AT_ONCE))
            self._held.take(whose)
        try:
            yield
        finally:
            self._held.give_back(whose)
            async with self._freed:
                self._freed.notify_all()


class Room:
    """Where one request's body is, until the request is answered."""

    def __init__(self, large: _Large, place: AsyncExitStack) -> None:
        self._large = large
        self._place = place
        self._is_large = False

    async def read(
        self,
        http: Request,
        whose: str,
        *,
        most: int = MAX_BODY_BYTES,
        seconds: float = MAX_BODY_SECONDS,
    ) -> bytes:
        """The raw body of somebody's request: a company's, where it is known.

        Raises HttpError 413 as soon as it is known to exceed `most` bytes, and 408 when it is not
        complete within `seconds`: who promises more than is sent must not hold us.
        UnavailableError for a large one when there was no room for it in that time.
        """
        waits = False
        declared = http.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large(most)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await http.receive()
                    if message["type"] != "http.request":
                        raise ClientDisconnect
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    if size > most:
                        raise too_large(most)
                    if size > SMALL_BODY_BYTES and not self._is_large:
                        # The rest waits where it is: what is not read, its sender keeps.
                        waits = True
                        await self._place.enter_async_context(self._large.place(whose))
                        waits, self._is_large = False, True
                    if not message.get("more_body"):
                        return chunk if not chunks else b"".join([*chunks, chunk])
                    chunks.append(chunk)
        except TimeoutError:
            if waits:
                raise UnavailableError("too_busy", "Too much at once; try again.") from None
            raise too_slow() from None


class Bodies:
    """Room for bodies: for any number of small ones, and a few large ones at a time, of which no
    company has more than its share."""

    def __init__(self) -> None:
        self._large = _Large()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Room]:
        """For the body of one request."""
        async with AsyncExitStack() as place:
            yield Room(self._large, place)

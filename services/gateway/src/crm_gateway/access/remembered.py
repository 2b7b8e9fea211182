"""What was read of the database a moment ago, so that not every request reads it again."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class Remembered(Generic[Key, Found]):
    """Values by key, each for so many seconds; what was not found is remembered as well.

    Many who ask for the same at once are told by one reading.
    """

    def __init__(
        self, read: Callable[[Key], Awaitable[Found | None]], *, seconds: float, most: int
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._most = most
        self._found: OrderedDict[Key, tuple[float, Found | None]] = OrderedDict()
        self._reading: dict[Key, asyncio.Task[Found | None]] = {}

    async def get(self, key: Key) -> Found | None:
        """The value, read anew when it is not remembered; raises what reading raises."""
        known = self._found.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read_anew(key))
        # Who gives up must not take the answer from the others.
        return await asyncio.shield(reading)

    async def _read_anew(self, key: Key) -> Found | None:
        this = asyncio.current_task()
        try:
            value = await self._read(key)
            # Unless it was forgotten meanwhile: then it was read before its change.
            if self._reading.get(key) is this:
                self._found[key] = (time.monotonic() + self._seconds, value)
                self._found.move_to_end(key)
                if len(self._found) > self._most:
                    self._found.popitem(last=False)
            return value
        finally:
            if self._reading.get(key) is this:
                del self._reading[key]

    def forget(self, key: Key) -> None:
        """Read it anew next time."""
        self._found.pop(key, None)
        self._reading.pop(key, None)

    def forget_those(self, are_meant: Callable[[Key], bool]) -> None:
        """Read these anew next time."""
        for key in [key for key in (*self._found, *self._reading) if are_meant(key)]:
            self.forget(key)

    def forget_found(self, are_meant: Callable[[Found], bool]) -> None:
        """Read what is such a value anew next time; what is being read may be one."""
        found = [key for key, (_, value) in self._found.items() if value and are_meant(value)]
        for key in (*found, *self._reading):
            self.forget(key)

    def forget_all(self) -> None:
        """Read everything anew."""
        self._found.clear()
        self._reading.clear()

"""What was read of the database a moment ago, so that not every request reads it again."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class Remembered(Generic[Key, Found]):
    """Values by key, each for so many seconds; what was not found is remembered as well."""

    def __init__(
        self, read: Callable[[Key], Awaitable[Found | None]], *, seconds: float, most: int
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._most = most
        self._found: OrderedDict[Key, tuple[float, Found | None]] = OrderedDict()
        self._forgotten = 0

    async def get(self, key: Key) -> Found | None:
        """The value, read anew when it is not remembered."""
        known = self._found.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        before = self._forgotten
        value = await self._read(key)
        # What was forgotten meanwhile may be just this: it may have been read before its change.
        if before == self._forgotten:
            self._found[key] = (time.monotonic() + self._seconds, value)
            self._found.move_to_end(key)
            if len(self._found) > self._most:
                self._found.popitem(last=False)
        return value

    def forget(self, key: Key) -> None:
        """Read it anew next time."""
        self._forgotten += 1
        self._found.pop(key, None)

    def forget_all(self) -> None:
        """Read everything anew."""
        self._forgotten += 1
        self._found.clear()

"""An append-only record that wakes whoever waits for something in it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long is waited for what must come: nobody waits so long but who waits in vain."""


class _Waiter(Generic[T]):
    def __init__(self, predicate: Callable[[T], bool], count: int) -> None:
        self.predicate = predicate
        self.count = count
        self.matches: dict[int, T] = {}
        self.done: asyncio.Future[list[T]] = asyncio.get_running_loop().create_future()

    def offer(self, item: T) -> None:
        if self.done.done() or not self.predicate(item):
            return
        self.matches[id(item)] = item
        if len(self.matches) >= self.count:
            self.done.set_result(list(self.matches.values()))


class Journal(Generic[T]):
    """Items in order of arrival. With a limit the oldest ones are forgotten.

    `wait_for` and `wait_for_count` look at what is there already and are then woken by each
    `append` and `touch`: nobody polls.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._items: deque[T] = deque(maxlen=limit)
        self._waiters: list[_Waiter[T]] = []
        self.appended = 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._items))

    def __getitem__(self, index: int) -> T:
        return self._items[index]

    def append(self, item: T) -> None:
        """Record a new item and wake those who wait for one like it."""
        self._items.append(item)
        self.appended += 1
        self.touch(item)

    def touch(self, item: T) -> None:
        """Say that a recorded item changed, so that waiters look at it again."""
        for waiter in self._waiters:
            waiter.offer(item)

    def clear(self) -> None:
        """Forget every item; waiters keep waiting."""
        self._items.clear()

    async def wait_for(
        self, predicate: Callable[[T], bool], timeout: float = PATIENCE_SECONDS
    ) -> T:
        """Return the first item for which the predicate holds; `timeout` in seconds.

        Raises TimeoutError, telling how many items there were.
        """
        return (await self.wait_for_count(predicate, 1, timeout))[0]

    async def wait_for_count(
        self, predicate: Callable[[T], bool], count: int, timeout: float = PATIENCE_SECONDS
    ) -> list[T]:
        """Return the matching items once there are at least `count` of them."""
        waiter = _Waiter(predicate, count)
        for item in self._items:
            waiter.offer(item)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await waiter.done
        except TimeoutError:
            raise TimeoutError(
                f"{len(waiter.matches)} of {count} matched within {timeout} s "
                f"among {len(self._items)} recorded"
            ) from None
        finally:
            self._waiters.remove(waiter)

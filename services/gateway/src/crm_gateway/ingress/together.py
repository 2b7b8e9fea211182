"""What many want of the database at the same time, asked of it once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """Does one kind of work for many, a batch at a time, in the order they came.

    Whoever comes while a batch is on its way is in the next: what is carried grows with how many
    wait, and not with connections. A database, or a loop, that takes ten times as long for a
    transaction makes each wait ten times as long, and not each behind all others.
    """

    def __init__(
        self, work: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, most: int
    ) -> None:
        """`work` answers for each of at most `most`; what it raises, all of its batch are told."""
        self._do = work
        self._most = most
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer, from work that began after this was asked; raises what the work raises."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                try:
                    answers = await self._do([asked for asked, _ in batch])
                except Exception as error:
                    for _, future in _awaited(batch):
                        future.set_exception(error)
                else:
                    for answer, (_, future) in zip(answers, batch, strict=True):
                        if not future.done():
                            future.set_result(answer)
        finally:
            self._working = None


def _awaited(
    batch: Sequence[tuple[Asked, asyncio.Future[Answer]]],
) -> Sequence[tuple[Asked, asyncio.Future[Answer]]]:
    """Those whose caller is still there."""
    return [each for each in batch if not each[1].done()]

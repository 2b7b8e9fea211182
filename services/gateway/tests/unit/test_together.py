"""What many want of the database at once is asked of it together."""

import asyncio
from collections.abc import Sequence

import pytest
from crm_gateway.ingress.together import Together


class Database:
    """Doubles numbers, a batch at a time, when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def double(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(numbers))
        await self.go.wait()
        if 0 in numbers:
            raise ConnectionError("lost")
        return [2 * number for number in numbers]


@pytest.fixture
def database() -> Database:
    return Database()


async def begun(database: Database, together: Together[int, int], *numbers: int) -> list[object]:
    """Ask one, and the others while it is on its way; then let the database go."""
    asked = [asyncio.create_task(together.ask(numbers[0]))]
    async with asyncio.timeout(30):
        while not database.batches:  # noqa: ASYNC110 - it says so by this alone
            await asyncio.sleep(0)
        asked += [asyncio.create_task(together.ask(number)) for number in numbers[1:]]
        await asyncio.sleep(0)
        database.go.set()
        return list(await asyncio.gather(*asked, return_exceptions=True))


class TestTogether:
    async def test_what_comes_meanwhile_goes_at_once_and_in_order(self, database: Database) -> None:
        together = Together(database.double, most=100)
        assert await begun(database, together, 1, 2, 3, 4) == [2, 4, 6, 8]
        assert database.batches == [[1], [2, 3, 4]]
        assert await together.ask(5) == 10

    async def test_a_batch_has_an_end(self, database: Database) -> None:
        together = Together(database.double, most=2)
        assert await begun(database, together, 1, 2, 3, 4) == [2, 4, 6, 8]
        assert database.batches == [[1], [2, 3], [4]]

    async def test_what_fails_is_told_to_its_batch_alone(self, database: Database) -> None:
        together = Together(database.double, most=2)
        first, second, third, last = await begun(database, together, 1, 0, 2, 3)
        assert (first, last) == (2, 6)
        assert isinstance(second, ConnectionError)
        assert isinstance(third, ConnectionError)

    async def test_who_left_keeps_nobody_from_an_answer(self, database: Database) -> None:
        together = Together(database.double, most=100)
        leaving = asyncio.create_task(together.ask(1))
        staying = asyncio.create_task(together.ask(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        database.go.set()
        assert await staying == 4
        assert await together.ask(3) == 6

import asyncio

from crm_gateway.access.remembered import Remembered


class Source:
    """Says how often it was asked, once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = asyncio.Event()
        self.may.set()

    async def read(self, key: str) -> str | None:
        self.asked += 1
        answer = None if key == "nobody" else f"{key}{self.asked}"
        await self.may.wait()
        return answer


class TestRemembered:
    async def test_reads_once_and_again_when_told_or_too_old(self) -> None:
        source = Source()
        remembered = Remembered(source.read, seconds=60, most=2)
        assert [await remembered.get("a") for _ in range(3)] == ["a1"] * 3
        assert [await remembered.get("nobody") for _ in range(2)] == [None, None]
        remembered.forget("a")
        assert await remembered.get("a") == "a3"
        remembered.forget_all()
        assert await remembered.get("a") == "a4"
        assert await remembered.get("b") == "b5"
        remembered.forget_those(lambda key: key == "a")
        assert [await remembered.get(key) for key in ("b", "a")] == ["b5", "a6"]

    async def test_what_is_too_old_is_read_anew(self) -> None:
        source = Source()
        remembered = Remembered(source.read, seconds=0, most=2)
        assert [await remembered.get("a") for _ in range(2)] == ["a1", "a2"]

    async def test_remembers_no_more_than_it_may(self) -> None:
        source = Source()
        remembered = Remembered(source.read, seconds=60, most=2)
        for key in ("a", "b", "c"):
            await remembered.get(key)
        assert await remembered.get("c") == "c3"
        assert await remembered.get("a") == "a4"

    async def test_what_changed_while_it_was_read_is_not_kept(self) -> None:
        source = Source()
        remembered = Remembered(source.read, seconds=60, most=2)
        source.may.clear()
        reading = asyncio.create_task(remembered.get("a"))
        async with asyncio.timeout(60):
            while not source.asked:  # noqa: ASYNC110 - its turn comes with the loop's next
                await asyncio.sleep(0)
        remembered.forget("a")
        source.may.set()
        assert await reading == "a1"
        assert await remembered.get("a") == "a2"

    async def test_many_at_once_are_told_by_one_reading(self) -> None:
        source = Source()
        remembered = Remembered(source.read, seconds=60, most=2)
        impatient = asyncio.create_task(remembered.get("a"))
        others = [asyncio.create_task(remembered.get("a")) for _ in range(9)]
        source.may.clear()
        async with asyncio.timeout(60):
            while not source.asked:  # noqa: ASYNC110 - its turn comes with the loop's next
                await asyncio.sleep(0)
        impatient.cancel()
        source.may.set()
        assert await asyncio.gather(*others) == ["a1"] * 9
        assert source.asked == 1

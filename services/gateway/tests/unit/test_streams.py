"""Event streams: what is written, what wakes them, what ends them, how many there may be."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any
from uuid import uuid4

import orjson
import pytest
from crm_gateway.access.lacks import Lack
from crm_gateway.live import frames
from crm_gateway.live.streams import Pace, Page, SharedPages, Streams
from crm_gateway.problems.errors import HttpError
from crm_gateway.rest.routes import ROUTES
from crm_gateway.settings import GatewaySettings
from crm_testing.scenes.gateway import Bus, Rest
from crm_testing.streams import Reader
from prometheus_client import REGISTRY
from service_kit.errors import ConflictError, ProblemError, UnauthenticatedError, UnavailableError
from service_kit.health import Health
from shared_events.requests import Principal, Problem, Reply
from shared_events.webhooks.event import FollowEvents

NEVER = 3600.0
FEED = [row for row in ROUTES if row.path.startswith("/events")]


class Feed:
    """Companies' feeds in memory; what cannot be read is raised."""

    def __init__(self) -> None:
        self.places: dict[str, list[int]] = {}
        self.asked: list[FollowEvents] = []
        self.fails: Exception | None = None
        self.page = 2

    async def read(self, request: FollowEvents, principal: Principal, correlation_id: str) -> Page:
        self.asked.append(request)
        if self.fails:
            raise self.fails
        places = self.places.get(principal.tenant_id, [])
        head = str(len(places))
        after = int(request.after or head)
        shown = [
            {"cursor": str(place), "event": {"n": number, "text": "a\nb\r\n\u2028"}}
            for place, number in enumerate(places, 1)
            if place > after
        ]
        has_more = len(shown) > self.page
        cursor = shown[self.page - 1]["cursor"] if has_more else head
        return Page(frames.chunks(shown[: self.page]), str(cursor), has_more)

    def grown(self, tenant_id: str) -> None:
        """Nothing is shared here."""


class Callers:
    """Knows whom the token names, until told otherwise."""

    def __init__(self) -> None:
        self.fails: ProblemError | None = None
        self.permissions = ("*",)

    async def principal(self, http: Any, *, despite: Collection[Lack]) -> Principal:
        del despite
        if self.fails:
            raise self.fails
        return Principal(tenant_id=http.headers["x-tenant"], permissions=self.permissions)

    async def alone(self, principal: Principal) -> Principal:
        return principal


class Scene:
    """The API with streams over feeds in memory."""

    def __init__(self, settings: GatewaySettings, **pace: float) -> None:
        self.feed, self.callers = Feed(), Callers()
        slow = {"beat": NEVER, "look": NEVER, "again": NEVER, "write": NEVER}
        self.streams = Streams(self.feed, per_tenant=2, at_most=3, pace=Pace(**{**slow, **pace}))
        self.app = Rest(settings, FEED, streams=self.streams, callers=self.callers).app

    def reader(self, tenant_id: str = "ours", query: str = "", **headers: str) -> Reader:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reader(self.app, "/events/stream" + query, {"x-tenant": tenant_id, **named})

    def happens(self, *numbers: int, tenant_id: str = "ours") -> None:
        self.feed.places.setdefault(tenant_id, []).extend(numbers)
        self.streams.ring([tenant_id])


MakeScene = Callable[..., Scene]


@pytest.fixture
def make_scene(make_settings: Callable[..., GatewaySettings]) -> MakeScene:
    return lambda **pace: Scene(make_settings(), **pace)


class TestReading:
    async def test_goes_on_where_it_was_and_is_woken_by_its_own_company(
        self, make_scene: MakeScene
    ) -> None:
        scene = make_scene()
        scene.happens(10, 20, 30, 40, 50)
        async with (
            scene.reader(query="?after=1&types=contact.*", Last_Event_ID="2") as reader,
            scene.reader("theirs") as other,
        ):
            assert reader.status == 200
            assert reader.headers["content-type"].startswith("text/event-stream")
            assert reader.headers["cache-control"] == "no-store"
            assert "content-length" not in reader.headers
            assert 1000 <= int((await reader.frame())["retry"]) <= 5000
            seen = [await reader.event() for _ in range(3)]
            assert [(cursor, said["n"]) for cursor, said in seen] == [
                ("3", 30),
                ("4", 40),
                ("5", 50),
            ]
            assert seen[0][1]["text"] == "a\nb\r\n\u2028"
            scene.happens(60)
            assert (await reader.event())[0] == "6"
            assert {tuple(one.types) for one in scene.feed.asked} == {("contact.*",), ()}
            scene.happens(1, tenant_id="theirs")
            assert (await other.event())[1]["n"] == 1
            assert other.body.count(b"data:") == 1

    async def test_begins_now_and_says_where_that_is(self, make_scene: MakeScene) -> None:
        scene = make_scene()
        scene.happens(10, 20)
        async with scene.reader() as reader:
            await reader.frame()
            assert (await reader.frame())["id"] == "2"  # whoever is cut off now goes on from here
            scene.happens(30)
            assert (await reader.event())[0] == "3"

    async def test_shows_life_and_its_place_while_nothing_comes(
        self, make_scene: MakeScene
    ) -> None:
        scene = make_scene(beat=0.01)
        async with scene.reader() as reader:
            await reader.until(lambda: reader.body.count(b": \nid: 0\n\n") >= 3)
            assert len(scene.feed.asked) == 2  # at the beginning, and no more: idle costs nothing

    async def test_finds_what_nobody_told_of(self, make_scene: MakeScene) -> None:
        scene = make_scene(look=0.01)
        async with scene.reader() as reader:
            scene.feed.places["ours"] = [10]
            assert (await reader.event())[0] == "1"

    async def test_waits_for_what_is_away(self, make_scene: MakeScene) -> None:
        scene = make_scene(again=0.01)
        async with scene.reader() as reader:
            for away in (UnavailableError("a", "Away."), HttpError(503, "b", "Busy.")):
                scene.feed.fails = away
                scene.feed.asked.clear()
                scene.happens(10)
                await eventually(lambda: len(scene.feed.asked) > 1)
            scene.feed.fails = None
            assert (await reader.event())[0] == "1"


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what we wait for is elsewhere
            await asyncio.sleep(0)


def cut_off() -> float:
    name, reason = "crm_event_streams_ended_total", {"reason": "slow_reader"}
    return REGISTRY.get_sample_value(name, reason) or 0.0


class TestEnd:
    async def test_is_told_with_its_reason(self, make_scene: MakeScene) -> None:
        scene = make_scene(beat=0.01)
        over = UnauthenticatedError("token_expired", "Over.")
        lost = HttpError(409, "cursor_expired", "Begin anew.")
        for unknown, granted, unread, code in (
            (None, "*", lost, "cursor_expired"),
            (over, "*", None, "token_expired"),
            (None, "messages.read", None, "permission_missing"),
        ):
            scene.callers.fails, scene.callers.permissions = None, ("*",)
            scene.feed.fails = None
            async with scene.reader() as reader:
                await reader.frame()
                scene.callers.fails, scene.callers.permissions = unknown, (granted,)
                scene.feed.fails = unread
                scene.happens(10)
                name, said = await reader.event()
                assert (name, said["code"]) == ("end", code)
                await reader.ended()
                assert reader.closed
                assert b'"n"' not in reader.body  # nothing is shown after that

    async def test_of_a_process_moves_its_readers(self, make_scene: MakeScene) -> None:
        scene, health = make_scene(), Health("gateway")
        draining = asyncio.create_task(scene.streams.drain(health))
        async with scene.reader() as reader, scene.reader("theirs") as other:
            health.draining = True
            for each in (reader, other):
                assert (await each.event())[1]["code"] == "moving"
                await each.ended()
        scene.happens(10)
        async with scene.reader(Last_Event_ID="0") as late:  # told as well, after what there is
            assert [(await late.event())[0] for _ in range(2)] == ["1", "end"]
            await late.ended()
        draining.cancel()

    async def test_comes_to_a_reader_who_reads_nothing(self, make_scene: MakeScene) -> None:
        scene = make_scene(write=0.05)
        before = cut_off()
        async with scene.reader() as stuck, scene.reader() as reader:
            stuck.stuck = True
            scene.happens(*range(10))
            for place in range(1, 11):
                assert (await reader.event())[0] == str(place)
            await stuck.ended()
            assert not stuck.closed  # cut off in the middle: it comes back and goes on
            assert cut_off() == before + 1
            async with scene.reader(Last_Event_ID="8") as again:
                assert (await again.event())[0] == "9"


class TestRefusal:
    async def test_comes_before_the_stream_begins(self, make_scene: MakeScene) -> None:
        scene = make_scene()
        scene.feed.fails = ConflictError("cursor_expired", "Begin anew.")
        async with scene.reader(Last_Event_ID="1") as reader:
            assert reader.status == 409
            assert orjson.loads(reader.body)["code"] == "cursor_expired"
        scene.feed.fails = None
        for query, headers, status in (
            ("?limit=3", {}, 400),
            ("?after=" + "x" * 101, {}, 422),
            ("", {"Last_Event_ID": "x" * 101}, 422),
        ):
            async with scene.reader(query=query, **headers) as reader:
                assert reader.status == status
        scene.callers.permissions = ("messages.read",)
        async with scene.reader() as reader:
            assert reader.status == 403

    async def test_of_more_than_there_may_be(self, make_scene: MakeScene) -> None:
        scene = make_scene()
        async with scene.reader() as first, scene.reader():
            async with scene.reader() as third:
                assert (third.status, orjson.loads(third.body)["code"]) == (429, "too_many_streams")
                assert int(third.headers["retry-after"]) > 0
            async with scene.reader("theirs"), scene.reader("others") as fourth:
                assert fourth.status == 503
            await first.leave()
            async with scene.reader() as again:
                assert again.status == 200


class Answering(Bus):
    """Answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.problem: Problem | None = None

    async def call(self, request: Any, **said: Any) -> Reply:
        self.asked.append(request)
        await self.may_answer.wait()
        if self.problem:
            return Reply(problem=self.problem)
        return Reply(value={"data": [], "has_more": False, "next_cursor": "7"})


class TestSharing:
    async def test_is_among_those_who_want_the_same(self) -> None:
        bus = Answering()
        pages = SharedPages(bus)
        mine = Principal(tenant_id=str(uuid4()), permissions=("events.read", "contacts.read"))
        request = FollowEvents(after="5")
        asked = [
            (request, mine),
            (request, mine),
            (request, mine.model_copy(update={"tenant_id": "theirs"})),
            (request, mine.model_copy(update={"permissions": ("events.read",)})),
            (request, mine.model_copy(update={"own_only": True, "user_id": uuid4()})),
            (request, mine.model_copy(update={"own_only": True, "user_id": uuid4()})),
            (FollowEvents(after="6"), mine),
            (FollowEvents(after="5", types=["contact.*"]), mine),
        ]
        reading = [
            asyncio.create_task(pages.read(one, principal, "req")) for one, principal in asked
        ]
        await eventually(lambda: len(bus.asked) == 7)
        # What is under way may not know of what has come since.
        pages.grown(mine.tenant_id)
        late = asyncio.create_task(pages.read(request, mine, "req"))
        await eventually(lambda: len(bus.asked) == 8)
        reading[0].cancel()
        bus.may_answer.set()
        assert {(await one).cursor for one in (*reading[1:], late)} == {"7"}
        bus.problem = Problem(kind="conflict", code="cursor_expired", detail="Begin anew.")
        with pytest.raises(HttpError) as refused:
            await pages.read(request, mine, "req")
        assert (refused.value.status, refused.value.code) == (409, "cursor_expired")
        assert len(bus.asked) == 9

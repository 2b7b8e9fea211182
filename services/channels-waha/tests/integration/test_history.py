"""Imports of history: all of it, each message once, whatever is killed, held or away meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.history import repository, runner
from crm_channels_waha.history.requests import HistoryRequests
from crm_channels_waha.history.runner import Runner
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop
from crm_testing.servers import TemporalServer
from crm_testing.services import eventually
from service_kit.calls import Call
from service_kit.egress import Egress
from service_kit.jobs.activities import JobActivities
from service_kit.jobs.dispatch import starter
from service_kit.jobs.schemas import JobRef, task_queue, workflow_id
from service_kit.jobs.workflow import JobWorkflow
from service_kit.service import Service
from service_kit.temporal import Temporal
from shared_events.channels.channel import DriveChannel
from shared_events.channels.history import (
    CreateHistoryImport,
    DriveHistoryImport,
    GetHistoryImport,
)
from shared_events.jobs import JobAction
from shared_events.requests import Principal
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

PEOPLE = ("5511988880001", "5521977770002")
STORE = {"noweb": {"store": {"enabled": True}}}


@pytest.fixture
async def hand(service: Service, settings: ChannelsSettings) -> AsyncIterator[Runner]:
    """Works on imports when the test says so."""
    http = WahaHttp(Egress.by_setting(None, is_production=False))
    yield Runner(service.database, Connections(settings, http))
    await http.aclose()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages and short pauses: many of them in no time."""
    for name, value in {
        **{"PAGE_MESSAGES": 3, "CHATS_PAGE": 2},
        **{"_LEAST_PAUSE": 0.001, "_MOST_PAUSE": 0.02},
    }.items():
        monkeypatch.setattr(runner, name, value)


def ago(days: float) -> int:
    return int((datetime.now(UTC) - timedelta(days)).timestamp())


async def told_before(waha: WahaSimulator, session: str, per_chat: int = 8) -> None:
    """What two people, and a group, said before anybody listened: one message a day."""
    ours = waha.session(session)
    ours.config = {**ours.config, **STORE, "webhooks": []}
    for n in range(per_chat):
        for phone in PEOPLE:
            at = ago(per_chat - n + 0.5)
            text = f"{phone[-1]}-{n}"
            await waha.receive_text(session, phone, text, timestamp=at, bare_id=f"OLD{text}")
    at = ago(2.2)
    await waha.receive_text(session, PEOPLE[0], "g", timestamp=at, group="120363000000000001@g.us")


async def begun(company: Shop, **depth: Any) -> JobRef:
    """An import that nobody but the test works on."""
    call = Call(Principal(tenant_id=company.id), "req-import")
    request = CreateHistoryImport(channel_id=company.channel_id, **depth)
    async with company.database.tenant(company.id) as tx:
        job = await HistoryRequests(lambda: None, 0.0).create(tx, request, call)
        await tx.execute("UPDATE history_imports SET due_at = now() + interval '1 hour'")
    return JobRef(tenant_id=company.id, id=job.id, kind=repository.KIND)


def after(steps: int) -> Callable[[], bool]:
    """Says after so many pages that it is enough."""
    left = iter([False] * steps)
    return lambda: next(left, True)


async def job_of(company: Shop, ref: JobRef) -> dict[str, Any]:
    return await company.value(GetHistoryImport(history_import_id=ref.id))


async def said(company: Shop) -> list[str]:
    """What was told of history, in the order it was told."""
    pages = await company.told("channel.history_read")
    return [message["content"] for page in pages for message in page["messages"]]


def backwards(person: str, first: int, last: int) -> list[str]:
    return [f"{person[-1]}-{n}" for n in range(last, first - 1, -1)]


async def finished(company: Shop, import_id: str) -> dict[str, Any]:
    async def look() -> Any:
        job = await company.value(GetHistoryImport(history_import_id=UUID(import_id)))
        return job if job["finished_at"] else None

    found: dict[str, Any] = await eventually(look)
    return found


class TestDepth:
    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_all_of_it_newest_first_by_the_service_itself(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        await told_before(waha, "loja")
        asked = CreateHistoryImport(channel_id=company.channel_id)
        job = await company.value(asked, idempotency_key="once")
        assert await company.value(asked, idempotency_key="once") == job
        job = await finished(company, job["id"])
        shown = ("state", "done", "total", "errors", "messages", "failure")
        assert [job[name] for name in shown] == ["completed", 3, 3, 0, 17, None]
        pages = await company.told("channel.history_read")
        assert all(len(page["messages"]) <= 3 and not page["notify"] for page in pages)
        for person in PEOPLE:
            theirs = [text for text in await said(company) if text.startswith(person[-1])]
            assert theirs == backwards(person, 0, 7)
        (message,) = [m for p in pages for m in p["messages"] if m["external_id"] == "OLD1-3"]
        assert message["person"]["identities"] == [{"kind": "phone", "value": PEOPLE[0]}]
        at = waha.session("loja").messages["OLD1-3"].timestamp
        assert datetime.fromisoformat(message["sent_at"]) == datetime.fromtimestamp(at, UTC)
        states = [each["job"]["state"] for each in await company.told("history.progressed")]
        assert list(dict.fromkeys(states)) == ["queued", "running", "completed"]
        assert await company.rows("SELECT * FROM history_chats") == []
        assert await company.told("channel.message_received") == []
        foreign = GetHistoryImport(history_import_id=UUID(job["id"]))
        assert await other_company.refusal(foreign) == ("not_found", "history_import_not_found")
        assert await other_company.refusal(asked) == ("not_found", "channel_not_found")

    async def test_as_deep_as_was_asked(
        self, company: Shop, waha: WahaSimulator, hand: Runner
    ) -> None:
        await company.connect(allow_groups=False)
        await told_before(waha, "loja")
        for depth, first in (({"days": 4}, 5), ({"messages_per_chat": 5}, 3)):
            before = len(await said(company))
            ref = await begun(company, notify=True, **depth)
            assert not await hand.advance(ref)
            assert (await job_of(company, ref))["state"] == "completed"
            found = (await said(company))[before:]
            assert sorted(found) == sorted(
                text for person in PEOPLE for text in backwards(person, first, 7)
            )
        assert all(page["notify"] for page in await company.told("channel.history_read"))

    async def test_what_is_on_its_way_live_is_left_to_it(
        self, company: Shop, waha: WahaSimulator, hand: Runner
    ) -> None:
        await company.connect()
        await told_before(waha, "loja", per_chat=1)
        await waha.receive_text("loja", PEOPLE[0], "agora", timestamp=ago(-0.01))
        ref = await begun(company)
        assert not await hand.advance(ref)
        assert sorted(await said(company)) == ["1-0", "2-0", "g"]


class TestOnce:
    async def test_killed_at_every_step_and_by_two_at_once(
        self, company: Shop, waha: WahaSimulator, hand: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await company.connect()
        await told_before(waha, "loja")
        ref = await begun(company)
        save = repository.save_chat

        async def breaks(*_: Any) -> None:
            raise ConnectionError("the process is gone")

        more = True
        while more:  # each page is read, and lost before it counts; then read again
            with monkeypatch.context() as patch:
                patch.setattr(repository, "save_chat", breaks)
                patch.setattr(repository, "add_chats", breaks)
                with pytest.raises(ConnectionError):
                    await hand.advance(ref)
            assert repository.save_chat is save
            told = await said(company)
            more = all(await asyncio.gather(*(hand.advance(ref, is_over=after(1)),) * 2))
            if (await company.value(GetHistoryImport(history_import_id=ref.id)))["done"] == 2:
                break
            assert (await said(company))[: len(told)] == told
        assert not await hand.advance(ref)
        everything = [*backwards(PEOPLE[0], 0, 7), *backwards(PEOPLE[1], 0, 7), "g"]
        assert sorted(await said(company)) == sorted(everything)
        assert (await job_of(company, ref))["messages"] == len(everything)

    async def test_what_we_sent_ourselves_is_known(
        self, company: Shop, waha: WahaSimulator, hand: Runner
    ) -> None:
        await company.connect()
        message_id = await company.write("nossa")
        sent = await company.until_state(message_id, "sent")
        waha.session("loja").messages[sent["external_id"]].timestamp = ago(1)
        await waha.sent_from_phone("loja", PEOPLE[0], "do telefone")
        ref = await begun(company)
        assert not await hand.advance(ref)
        pages = await company.told("channel.history_read")
        told = {m["content"]: m["origin"] for page in pages for m in page["messages"]}
        assert told == {"do telefone": "phone"}

    async def test_goes_no_faster_than_it_is_told(
        self, company: Shop, waha: WahaSimulator, hand: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await company.connect()
        await told_before(waha, "loja", per_chat=1)
        ref = await begun(company)
        monkeypatch.setattr(repository, "MOST_WAITING", 0)  # as if the relay were behind
        assert await hand.advance(ref, is_over=after(5))
        job = await job_of(company, ref)
        assert (job["state"], job["total"], await said(company)) == ("queued", None, [])


class TestDriving:
    async def test_holds_lets_go_on_and_ends(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, hand: Runner
    ) -> None:
        await company.connect()
        await told_before(waha, "loja")
        ref = await begun(company)

        def driving(action: JobAction) -> DriveHistoryImport:
            return DriveHistoryImport(history_import_id=ref.id, action=action)

        again = CreateHistoryImport(channel_id=company.channel_id)
        assert await company.refusal(again) == ("conflict", "history_import_running")
        assert await hand.advance(ref, is_over=after(6))
        running = await job_of(company, ref)
        assert (running["state"], running["total"]) == ("running", 3)
        stale = await company.refusal(driving("pause"), expected_version=running["version"] - 1)
        assert stale == ("precondition_failed", "stale_version")
        refusal = await other_company.refusal(driving("cancel"))
        assert refusal == ("not_found", "history_import_not_found")
        held = await company.value(driving("pause"), expected_version=running["version"])
        assert await company.value(driving("pause")) == held
        so_far = await said(company)
        assert not await hand.advance(ref)
        assert (await said(company), held["state"]) == (so_far, "paused")
        assert await company.refusal(again) == ("conflict", "history_import_running")
        assert (await company.value(driving("resume")))["state"] == "running"
        job = await finished(company, str(ref.id))  # the service goes on with it
        assert (job["state"], job["messages"]) == ("completed", 17)
        assert await company.refusal(driving("cancel")) == ("conflict", "job_ended")

        ref = await begun(company)
        await hand.advance(ref, is_over=after(6))
        gone = await company.value(driving("cancel"))
        assert (gone["state"], await company.value(driving("cancel"))) == ("cancelled", gone)
        assert not await hand.advance(ref)
        assert await company.rows("SELECT * FROM history_chats") == []


class TestTrouble:
    async def test_a_channel_that_is_not_connected_has_none(self, company: Shop) -> None:
        company.channel = await company.value(company.creation())
        asked = CreateHistoryImport(channel_id=UUID(company.channel["id"]))
        assert await company.refusal(asked) == ("conflict", "channel_not_connected")

    async def test_waits_while_waha_is_away_and_leaves_out_a_broken_chat(
        self, company: Shop, waha: WahaSimulator, hand: Runner
    ) -> None:
        await company.connect()
        await told_before(waha, "loja")
        ref = await begun(company)
        assert await hand.advance(ref, is_over=after(5))
        waha.stop_session(waha.session("loja"))
        waha.faults.add("history_error")
        async with asyncio.timeout(60):  # others have its place meanwhile
            assert not await hand.advance(ref, seconds=3600)
        assert (await job_of(company, ref))["errors"] == 0
        waha.start_session(waha.session("loja"))
        await waha.session("loja").reach(60, "WORKING")
        waha.faults.clear()
        waha.faults.add("history_error", times=5)  # the session works, one chat does not
        assert not await hand.advance(ref)
        job = await job_of(company, ref)
        assert (job["state"], job["done"], job["errors"]) == ("completed", 3, 1)
        assert 0 < job["messages"] < 17

    @pytest.mark.parametrize("why", ["waha_refused", "number_changed", "channel_gone"])
    async def test_ends_where_it_cannot_go_on(
        self, company: Shop, waha: WahaSimulator, hand: Runner, why: str
    ) -> None:
        await company.connect()
        await told_before(waha, "loja")
        ref = await begun(company)
        if why == "waha_refused":
            waha.faults.add("unauthorized", times=1)
        elif why == "number_changed":
            await company.rows("UPDATE channels SET phone = '5511900000099'")
        else:
            await company.rows("UPDATE channels SET deleted_at = now()")
        assert not await hand.advance(ref)
        job = await job_of(company, ref)
        assert (job["state"], job["failure"]["code"], job["messages"]) == ("failed", why, 0)

    async def test_after_the_logout_it_waits_for_the_same_number(
        self, company: Shop, waha: WahaSimulator, hand: Runner
    ) -> None:
        await company.connect()
        await told_before(waha, "loja")
        ref = await begun(company)
        await company.value(DriveChannel(channel_id=company.channel_id, action="logout"))
        assert not await hand.advance(ref)
        waha.scan("loja")
        assert not await hand.advance(ref)
        job = await job_of(company, ref)
        assert (job["state"], job["total"], job["messages"]) == ("completed", 0, 0)

    async def test_what_nobody_can_read_is_counted(
        self, company: Shop, waha: WahaSimulator, hand: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await company.connect()
        await told_before(waha, "loja", per_chat=2)
        translate = "crm_channels_waha.history.reading.translate"

        def fails(envelope: Any, *_: Any) -> Any:
            raise ValueError("a shape nobody foresaw")

        monkeypatch.setattr(translate, fails)
        ref = await begun(company)
        assert not await hand.advance(ref)
        job = await job_of(company, ref)
        assert (job["state"], job["errors"], job["messages"]) == ("completed", 5, 0)


class TestWorkflow:
    async def test_works_on_an_import_until_it_is_done(
        self,
        company: Shop,
        other_company: Shop,
        waha: WahaSimulator,
        hand: Runner,
        temporal_server: TemporalServer,
    ) -> None:
        client = await Client.connect(temporal_server.url, data_converter=pydantic_data_converter)
        start = starter(cast(Temporal, SimpleNamespace(client=client)), "channels", "history")
        companies = {"loja": company, "outra": other_company}
        refs = []
        for session, who in companies.items():
            await who.connect(session=session)
            await told_before(waha, session)
            refs.append(await begun(who))
        async with JobActivities(task_queue("channels", "history"), hand.advance).worker(client):
            for ref in [*refs, *refs]:  # twice: it has one all the same
                await eventually(partial(start, ref))
            for ref, who in zip(refs, companies.values(), strict=True):
                handle = client.get_workflow_handle(workflow_id("channels", ref))
                await handle.result()
                assert (await job_of(who, ref))["messages"] == 17
                history = await handle.fetch_history()
                assert len(history.events) < 30
                replayer = Replayer(workflows=[JobWorkflow], data_converter=pydantic_data_converter)
                await replayer.replay_workflow(history)
        nobody = cast(Temporal, SimpleNamespace(client=None))
        assert not await starter(nobody, "channels", "history")(refs[0])

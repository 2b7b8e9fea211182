"""Deaf channels: found by what WAHA holds, restarted, and what they missed read."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crm_channels_waha.hearing.repository import Patience
from crm_channels_waha.history import runner
from crm_channels_waha.liveness.probing import probe
from crm_channels_waha.liveness.watch import Watch
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from service_kit.jobs import dispatch
from shared_events.channels.channel import (
    DriveChannel,
    GetChannel,
    GetChannelHealth,
    UpdateChannel,
    WahaSettings,
)

MARIA = "5511988880001"
GROUP = "120363000000000001@g.us"


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """What is to be read is found at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "LOOK_SECONDS", 0.05)
        patch.setattr(runner, "_LEAST_PAUSE", 0.01)
        patch.setattr(runner, "_MOST_PAUSE", 0.05)
        yield


async def hearing(company: Shop) -> dict[str, Any]:
    (row,) = await company.rows("SELECT * FROM hearings WHERE channel_id = $1", company.channel_id)
    return dict(row)


async def connected_before(company: Shop, **changes: Any) -> None:
    """A channel that has been connected for an hour, and heard nothing for most of it."""
    await company.connect(**changes)
    await company.rows(
        "UPDATE hearings SET said_at = now() - interval '45 minutes',"
        " heard_at = now() - interval '45 minutes' WHERE channel_id = $1",
        company.channel_id,
    )


def ago(minutes: float) -> int:
    return int((datetime.now(UTC) - timedelta(minutes=minutes)).timestamp())


async def health(company: Shop) -> dict[str, Any]:
    return await company.value(GetChannelHealth(channel_id=company.channel_id))


async def recovered(company: Shop, watch: Watch, *texts: str) -> list[dict[str, Any]]:
    """What was told of what was missed, once it is all of this; looks meanwhile."""

    async def look() -> Any:
        await watch.look()
        pages = await company.told("channel.history_read")
        said = [message for page in pages for message in page["messages"]]
        # What was heard last is read once more: of its second there may be others.
        return pages if {m["content"] for m in said} == set(texts) else None

    found: list[dict[str, Any]] = await eventually(look)
    return found


class TestDeaf:
    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_is_found_restarted_and_what_it_missed_is_read(
        self, company: Shop, waha: WahaSimulator, watch: Watch, engine: Engine
    ) -> None:
        await connected_before(company, engine=engine)
        await waha.deafen("loja")
        await waha.receive_text("loja", MARIA, "antes de tudo", timestamp=ago(55))
        await waha.receive_text("loja", MARIA, "um", timestamp=ago(20))
        await waha.receive_image("loja", MARIA, "dois", timestamp=ago(10))
        assert await watch.look() == 1
        degraded = (await company.told("channel.status_changed"))[-2:]
        told = [(c["channel"]["status"], c["channel"]["status_reason"]) for c in degraded]
        assert ("degraded", "deaf") in told
        (page,) = await recovered(company, watch, "um", "dois")
        assert page["recovered"]
        assert page["notify"]
        assert page["messages"][0]["media"]["id"] is not None

        async def fetched() -> bool:
            rows = await company.rows("SELECT state FROM media")
            return [row["state"] for row in rows] == ["stored"]

        await eventually(fetched)
        await company.until_status("connected")
        state = await health(company)
        assert (state["status"], state["deaf_since"], state["repairs"]) == ("connected", None, 1)
        assert state["last_repair_at"] is not None
        (job,) = await company.rows("SELECT * FROM history_imports")
        assert (job["recovered"], job["notify"]) == (True, True)
        assert job["since"] < datetime.now(UTC) - timedelta(minutes=45)
        for _ in range(3):  # what is being read is missed no more
            await watch.look()
        state = await health(company)
        assert (state["last_probe"]["outcome"], state["repairs"]) == ("heard", 1)

    async def test_who_hears_is_left_alone(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await company.connect()
        await waha.receive_text("loja", MARIA, "Oi")
        await company.until_told("channel.message_received")
        session = waha.session("loja")
        session.config = {**session.config, "ignore": {"groups": True}}
        await waha.receive_text("loja", MARIA, "?", group=GROUP, timestamp=ago(-0.01))
        session.messages["HOUSE"] = replace(
            next(iter(session.messages.values())),
            bare_id="HOUSE",
            chat="status@broadcast",
            timestamp=ago(-0.01),
        )
        before = len(session.statuses)
        for _ in range(3):
            assert await watch.look() == 1
        state = await health(company)
        assert state["last_probe"]["outcome"] == "heard"
        assert (state["repairs"], state["deaf_since"], len(session.statuses)) == (0, None, before)
        assert await company.rows("SELECT * FROM history_imports") == []

    async def test_what_was_just_said_may_be_on_its_way(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        await waha.deafen("loja")
        await waha.receive_text("loja", MARIA, "Oi")
        patient = replace(watch, patience=replace(watch.patience, grace=60.0))
        assert await patient.look() == 1
        assert (await health(company))["last_probe"]["outcome"] == "heard"
        assert await watch.look() == 1
        assert (await health(company))["last_probe"]["outcome"] == "deaf"

    async def test_is_restarted_ever_more_rarely_while_it_does_not_help(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        await waha.deafen("loja", restarts=100)
        session = waha.session("loja")
        said = []

        async def misses(text: str) -> None:
            said.append(text)
            at = ago(40 - 3 * len(said))
            await waha.receive_text("loja", MARIA, text, timestamp=at)
            await watch.look()
            assert (await health(company))["last_probe"]["outcome"] == "deaf"

        async def repaired_before(seconds: float) -> None:
            await company.rows(
                "UPDATE hearings SET repaired_at = now() - make_interval(secs => $1)", seconds
            )

        for n in range(1, 4):
            await misses(f"{n}")
            await session.reach(60, "WORKING")
            await recovered(company, watch, *said)
            state = await health(company)
            assert (state["repairs"], state["status"]) == (n, "degraded")
            assert state["deaf_since"] is not None
            await repaired_before(watch.patience.pause(n) - 600)
            restarts = session.deaf
            await misses(f"{n}, too soon")
            assert session.deaf == restarts
            await recovered(company, watch, *said)  # it is read all the same
            await repaired_before(watch.patience.pause(n) + 1)
        assert [watch.patience.pause(n) for n in range(5)] == [3600, 3600, 7200, 7200, 7200]

    async def test_a_webhook_that_somebody_took_away_is_put_back(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        session = waha.session("loja")
        session.config = {**session.config, "webhooks": []}
        await waha.receive_text("loja", MARIA, "um", timestamp=ago(20))
        assert await watch.look() == 1
        await recovered(company, watch, "um")
        await waha.receive_text("loja", MARIA, "dois")
        (told,) = await company.until_told("channel.message_received")
        assert told["content"] == "dois"

    async def test_what_breaks_a_look_breaks_no_others(
        self,
        company: Shop,
        other_company: Shop,
        waha: WahaSimulator,
        watch: Watch,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for who, session in ((company, "loja"), (other_company, "outra")):
            await connected_before(who, session=session)

        async def breaks(waha: Any, channel: Any, before: datetime) -> Any:
            if channel.id == company.channel_id:
                raise ValueError("nobody foresaw it")
            return await probe(waha, channel, before)

        monkeypatch.setattr("crm_channels_waha.liveness.watch.probe", breaks)
        assert await watch.look() == 2
        assert (await health(company))["last_probe"] is None
        assert (await health(other_company))["last_probe"]["outcome"] == "heard"

    async def test_each_company_by_itself(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        for who, session in ((company, "loja"), (other_company, "outra")):
            await connected_before(who, session=session)
        await waha.deafen("loja")
        for session in ("loja", "outra"):
            await waha.receive_text(session, MARIA, session, timestamp=ago(5))
        await other_company.until_told("channel.message_received")
        assert await watch.look() == 2
        await recovered(company, watch, "loja")
        assert (await health(other_company))["repairs"] == 0
        assert await other_company.told("channel.history_read") == []
        foreign = GetChannelHealth(channel_id=company.channel_id)
        assert await other_company.refusal(foreign) == ("not_found", "channel_not_found")


class TestWhen:
    """Which channels are looked at."""

    async def claimed(self, company: Shop, watch: Watch, patience: Patience) -> int:
        return await replace(watch, patience=patience).look()

    async def test_silence_longer_than_its_habit(self, company: Shop, watch: Watch) -> None:
        await company.connect()
        patience = Patience(60, 900, 30, 3600, 7200)

        async def looked_at(**ago_: float | None) -> bool:
            for name, seconds in ago_.items():
                before = f"{name} = now() - make_interval(secs => {seconds})"
                await company.rows(f"UPDATE hearings SET {before}")  # noqa: S608 - our own
            return await self.claimed(company, watch, patience) == 1

        await company.rows("UPDATE hearings SET usual_gap_seconds = NULL")
        assert not await looked_at(heard_at=890)
        assert await looked_at(heard_at=910)
        assert not await looked_at(heard_at=910)  # it was just looked at
        await company.rows("UPDATE hearings SET usual_gap_seconds = 30, looked_at = NULL")
        assert not await looked_at(heard_at=110)
        assert await looked_at(heard_at=130)
        await company.rows("UPDATE hearings SET usual_gap_seconds = 0.1, looked_at = NULL")
        assert not await looked_at(heard_at=50)
        assert await looked_at(heard_at=70)
        assert not await looked_at(heard_at=500, looked_at=240)  # the longer, the more rarely
        assert await looked_at(heard_at=500, looked_at=260)
        await company.rows("UPDATE hearings SET usual_gap_seconds = 30000")
        assert await looked_at(heard_at=9000, looked_at=910)

    async def test_a_message_of_ours_that_does_not_come_back(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        waha.echo = False
        await company.connect()
        message_id = await company.write("Oi")
        await company.until_state(message_id, "sent")
        patience = Patience(60, 900, 30, 3600, 7200)
        assert await self.claimed(company, watch, patience) == 0
        await company.rows(
            "UPDATE hearings SET unanswered_since = unanswered_since - interval '31 seconds'"
        )
        assert await self.claimed(company, watch, patience) == 1
        assert await self.claimed(company, watch, patience) == 0
        await waha.receive_text("loja", MARIA, "Oi")
        await company.until_told("channel.message_received")
        assert (await hearing(company))["unanswered_since"] is None

    async def test_two_replicas_share_them(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        await waha.deafen("loja")
        await waha.receive_text("loja", MARIA, "um", timestamp=ago(20))
        patience = Patience(60, 900, 60, 3600, 7200)
        looks = await asyncio.gather(*(self.claimed(company, watch, patience) for _ in range(2)))
        assert sorted(looks) == [0, 1]


class TestBack:
    async def test_reads_what_was_said_while_it_was_away(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        session = waha.session("loja")
        waha.stop_session(session)
        await company.until_status("stopped")
        missing = (await health(company))["missing_since"]
        assert missing is not None
        await waha.receive_text("loja", MARIA, "um", timestamp=ago(20))
        await watch.look()
        assert (await health(company))["last_probe"]["outcome"] == "not_working"
        assert await company.rows("SELECT * FROM history_imports") == []
        waha.start_session(session)
        await company.until_status("connected")
        await waha.receive_text("loja", MARIA, "ao vivo")  # heard before the rest is read
        await company.until_told("channel.message_received")
        await watch.look()
        await recovered(company, watch, "ao vivo", "um")
        state = await health(company)
        assert (state["missing_since"], state["repairs"]) == (None, 0)

    async def test_after_waha_did_not_answer(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        waha.faults.add("unauthorized")
        await watch.look()
        state = await health(company)
        assert (state["last_probe"]["outcome"], state["repairs"]) == ("away", 0)
        assert state["missing_since"] is not None
        waha.faults.clear()
        await watch.look()
        assert (await health(company))["missing_since"] is None
        (job,) = await company.rows("SELECT recovered FROM history_imports")
        assert job["recovered"]

    async def test_waits_for_an_import_that_is_at_work(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        await company.rows("UPDATE hearings SET gap_since = said_at")
        await company.rows(
            "INSERT INTO history_imports (id, tenant_id, channel_id, state, notify, until, done,"
            " errors, messages, chats_offset, empty_pages, correlation_id, due_at, version,"
            " created_at, updated_at) SELECT gen_random_uuid(), tenant_id, channel_id, 'paused',"
            " false, now(), 0, 0, 0, 0, 0, 'r', now(), 1, now(), now() FROM hearings"
        )
        await watch.look()
        assert (await health(company))["missing_since"] is not None
        await company.rows("UPDATE history_imports SET state = 'cancelled'")
        await watch.look()
        assert (await health(company))["missing_since"] is None

    async def test_another_number_missed_nothing(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        await company.value(DriveChannel(channel_id=company.channel_id, action="logout"))
        await company.until_status("pairing")
        await waha.receive_text("loja", MARIA, "de outro", timestamp=ago(20))
        waha.scan("loja", phone="5511900000099")
        await company.until_status("connected")
        await watch.look()
        state = await health(company)
        assert (state["missing_since"], state["last_probe"]["outcome"]) == (None, "heard")
        assert await company.rows("SELECT * FROM history_imports") == []

    async def test_another_session_begins_anew(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        elsewhere = WahaSettings(base_url=waha.url, api_key=waha.api_key, session="nova")
        await company.value(UpdateChannel(channel_id=company.channel_id, waha=elsewhere))
        assert await company.rows("SELECT * FROM hearings") == []
        state = await health(company)
        assert (state["status"], state["last_message_at"]) == ("created", None)
        assert await watch.look() == 0

    async def test_a_status_that_nobody_told_of_is_learned(
        self, company: Shop, waha: WahaSimulator, watch: Watch
    ) -> None:
        await connected_before(company)
        session = waha.session("loja")
        session.config = {**session.config, "webhooks": []}
        waha.stop_session(session)
        await watch.look()
        shown = await company.value(GetChannel(channel_id=company.channel_id))
        assert shown["status"] == "stopped"

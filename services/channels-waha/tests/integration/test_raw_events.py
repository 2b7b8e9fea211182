"""What was kept raw can be read, and read anew by a translator that makes more of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from crm_channels_waha.inbound import consumers
from crm_testing.scenes.channels import Shop
from shared_events.channels.raw_event import (
    GetRawEvent,
    ListRawEvents,
    ReplayRawEvent,
    ReplayRawEvents,
)

PERSON = "5511988880001"


def message(bare: str, text: str = "oi") -> bytes:
    payload = {"id": f"false_{PERSON}@c.us_{bare}", "body": text, "timestamp": 1784800000}
    return orjson.dumps({"event": "message.any", "session": "loja", "payload": payload})


@pytest.fixture
async def kept(company: Shop, other_company: Shop, monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """What an older release could not read, of two companies; the ids of one's, oldest first."""

    def fails(*_: Any) -> None:
        raise ValueError("a shape nobody foresaw")

    await company.connect()
    await other_company.connect(session="outra")
    before = {row["id"] for row in await company.rows("SELECT id FROM raw_events")}
    with monkeypatch.context() as patch:
        patch.setattr(consumers, "translate", fails)
        for n in range(3):
            await company.hears("message.any", message(f"M{n}", "x" * 70_000 if n else "oi"))
        await other_company.hears("message.any", message("THEIRS").replace(b"loja", b"outra"))
    await company.hears("chat.archive", b'{"event":"chat.archive","session":"loja","payload":{}}')
    rows = await company.rows("SELECT id FROM raw_events ORDER BY received_at")
    return [row["id"] for row in rows if row["id"] not in before]


def of(company: Shop, event_id: UUID) -> dict[str, UUID]:
    return {"channel_id": company.channel_id, "event_id": event_id}


async def heard(company: Shop) -> list[str]:
    return [each["external_id"] for each in await company.told("channel.message_received")]


class TestReading:
    async def test_lists_by_reason_and_shows_the_body_of_one(
        self, company: Shop, other_company: Shop, kept: list[UUID]
    ) -> None:
        channel = {"channel_id": company.channel_id}
        unreadable = ListRawEvents(**channel, outcome="unreadable", limit=2)
        page = await company.value(unreadable)
        following = unreadable.model_copy(update={"cursor": page["next_cursor"]})
        rest = await company.value(following)
        found = [row["id"] for row in (*page["data"], *rest["data"])]
        assert found == [str(id_) for id_ in kept[2::-1]]
        assert (rest["has_more"], page["data"][0]["body"]) == (False, None)
        by_reason = await company.value(ListRawEvents(**channel, reason="event"))
        assert [row["event"] for row in by_reason["data"]] == ["chat.archive"]
        assert (await company.value(ListRawEvents(**channel, replayed=True)))["data"] == []
        shown = await company.value(GetRawEvent(**of(company, kept[0])))
        assert (shown["reason"], shown["body"]) == ("ValueError", message("M0").decode())
        for foreign in (
            ListRawEvents(**channel),
            GetRawEvent(**of(company, kept[0])),
            ReplayRawEvent(**of(company, kept[0])),
        ):
            refusal = await other_company.refusal(foreign)
            assert refusal == ("not_found", "channel_not_found")
        # An event of another channel is none of this one's.
        missing = {"channel_id": other_company.channel_id, "event_id": kept[0]}
        refusal = await other_company.refusal(GetRawEvent(**missing))
        assert refusal == ("not_found", "raw_event_not_found")


class TestReplaying:
    async def test_makes_more_of_it_once(
        self, company: Shop, other_company: Shop, kept: list[UUID]
    ) -> None:
        first = await company.value(ReplayRawEvent(**of(company, kept[0])))
        assert first["replayed_at"] is not None
        again = await company.value(ReplayRawEvent(**of(company, kept[0])))
        assert (again, await heard(company)) == (first, ["M0"])
        archived = await company.value(ReplayRawEvent(**of(company, kept[3])))
        assert (archived["replayed_at"], archived["outcome"], archived["reason"]) == (
            None,
            "unhandled",
            "event",
        )
        assert await heard(other_company) == []

    async def test_a_range_goes_on_where_it_ended(
        self, company: Shop, other_company: Shop, kept: list[UUID]
    ) -> None:
        now = datetime.now(UTC)
        asked = ReplayRawEvents(
            channel_id=company.channel_id,
            received_from=now - timedelta(hours=1),
            received_before=now + timedelta(hours=1),
            outcome="unreadable",
            limit=2,
        )
        some = await company.value(asked)
        assert (some["replayed"], some["kept"]) == (2, 0)
        assert await heard(company) == ["M0", "M1"]
        rest = await company.value(
            asked.model_copy(update={"received_from": datetime.fromisoformat(some["next_from"])})
        )
        assert (rest["replayed"], rest["kept"], rest["next_from"]) == (1, 0, None)
        assert await heard(company) == ["M0", "M1", "M2"]
        everything = asked.model_copy(update={"outcome": None})
        votes = await company.value(everything)
        assert (votes["replayed"], votes["kept"] > 0) == (0, True)
        past = asked.model_copy(update={"received_before": now - timedelta(minutes=59)})
        nothing = {"replayed": 0, "kept": 0, "next_from": None}
        assert await company.value(past) == nothing
        assert await heard(other_company) == []
        strange = asked.model_copy(update={"channel_id": uuid4()})
        assert await company.refusal(strange) == ("not_found", "channel_not_found")

    async def test_an_old_state_changes_nothing(self, company: Shop) -> None:
        await company.connect()
        status = {"name": "loja", "status": "FAILED"}
        old = {"event": "session.status", "session": "loja", "timestamp": 1, "payload": status}
        raw = orjson.dumps(old)
        event_id = uuid4()
        await company.rows(
            "INSERT INTO raw_events (id, tenant_id, channel_id, event, outcome, reason, body)"
            " VALUES ($1, $2, $3, 'session.status', 'unreadable', 'x', $4)",
            *(event_id, company.id, company.channel_id, raw),
        )
        await company.value(ReplayRawEvent(**of(company, event_id)))
        (row,) = await company.rows("SELECT status FROM channels")
        assert row["status"] == "connected"

"""From WAHA's webhook to the domain event, on a real database and broker."""

import asyncio
import time
from datetime import datetime
from uuid import UUID, uuid4

import orjson
import pytest
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.inbound.retention import purge_raw_events
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from crm_fakes import examples
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.calls import CallKind
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop, publish_raw
from crm_testing.services import eventually
from service_kit.egress import Egress
from shared_events import topology
from shared_events.channels.channel import DriveChannel
from shared_events.identity import conversation_id

ENGINES: list[Engine] = ["GOWS", "NOWEB", "WEBJS"]
KINDS: tuple[CallKind, ...] = ("received", "accepted", "rejected")


def body(name: str) -> tuple[str, bytes]:
    example = examples.by_name(name).with_session("loja")
    return example.body["event"], orjson.dumps(example.body)


def soon(ms: int = 0) -> int:
    """WAHA's time of what it tells after all it told so far, as far as clocks may differ."""
    return int(time.time() * 1000) + 300_000 + ms


class TestMessages:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_text_becomes_an_event(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        said = await waha.receive_text("loja", "5511988880001", "Oi! 👋", push_name="Maria")
        (heard,) = await company.until_told("channel.message_received")
        assert heard["channel"] == {
            "id": str(company.channel_id),
            "name": "Loja",
            "session_timeout_seconds": 1800,
        }
        assert heard["external_id"] == said.bare_id
        assert heard["content"] == "Oi! 👋"
        assert heard["person"] == {
            "identities": [{"kind": "phone", "value": "5511988880001"}],
            "push_name": "Maria",
        }
        (event,) = await company.outbox("channel.message_received")
        assert event["aggregate_id"] == conversation_id(company.channel_id, "5511988880001@c.us")
        assert event["correlation_id"] == "req-ingress"

    async def test_nul_and_half_an_emoji_do_no_harm(self, company: Shop) -> None:
        await company.connect()
        payload = {"id": "false_5511988880001@c.us_N1", "body": "CUT", "timestamp": 1784800000}
        raw = orjson.dumps({"event": "message", "payload": payload})
        await company.hears("message", raw.replace(b"CUT", rb"a\u0000b \ud83d"))
        (heard,) = await company.told("channel.message_received")
        assert heard["content"] == "ab \ufffd"

    async def test_every_example_is_told_or_kept(self, company: Shop) -> None:
        await company.connect()
        before = len(await company.rows("SELECT 1 FROM raw_events"))
        for example in examples.load():
            await company.hears(*body(example.name))
        kept = await company.rows("SELECT event, outcome FROM raw_events")
        ignored = [k for k in kept if k["outcome"] == "ignored"]
        unhandled = {k["event"] for k in kept if k["outcome"] == "unhandled"}
        assert len(ignored) == 2
        assert {"poll.vote.failed", "presence.update"} <= unhandled
        heard = len(await company.told("channel.message_received"))
        receipts = len(await company.told("channel.message_status_reported"))
        (revoked,) = await company.told("channel.message_revoked")
        assert revoked["external_id"] == "3A5577AA11CC22DD33EE"
        (edited,) = await company.told("channel.message_edited")
        assert edited["external_id"] == "AC1A2B3C4D5E6F708192A3B4C5D6E7F8"
        (reacted,) = await company.told("channel.reaction_reported")
        assert reacted["external_id"] == "3EB0AA00BB11CC22DD33"
        (voted,) = await company.told("channel.vote_reported")
        assert voted["external_id"] == "3EB0B011000000000001"
        (called,) = await company.told("channel.call_reported")
        assert called["call_id"] == "ABCDEFABCDEFABCDEFABCDEF01"
        (group,) = await company.told("channel.group_reported")
        assert group["members"][0]["person"]["identities"][1]["value"] == "72318944542853"
        (named,) = await company.told("channel.label_changed")
        assert named["label"] == {"id": "6", "name": "Novo cliente", "color": "#64c4ff"}
        put_on, taken_off = await company.told("channel.chat_labelled")
        assert (put_on["labelled"], taken_off["labelled"]) == (True, False)
        assert put_on["label"] == named["label"]
        reports = sum(e.body["event"] == "session.status" for e in examples.load())
        assert len(kept) - before + heard + receipts + 9 + reports == len(examples.load())

    async def test_another_session_changes_nothing_of_this_channel(self, company: Shop) -> None:
        """The number that was on this channel before goes on posting to its address."""
        await company.connect()
        for name in ("text_inbound_dm_gows", "session_status_failed", "ack_error_noweb"):
            raw = examples.by_name(name).with_session("antiga").body
            later = {**raw, "timestamp": soon()}
            await company.hears(raw["event"], orjson.dumps(later))
        assert await company.told("channel.message_received") == []
        assert await company.told("channel.message_status_reported") == []
        await company.until_status("connected")
        kept = await company.rows("SELECT reason FROM raw_events")
        assert [row["reason"] for row in kept] == ["another session"] * 3

    async def test_same_delivery_twice_has_one_effect(self, company: Shop) -> None:
        await company.connect()
        event, raw = body("text_inbound_dm_gows")
        ingress_id = await company.hears(event, raw)
        publisher = company.outside.publisher
        await publish_raw(
            publisher, company.id, company.channel_id, event, raw, ingress_id=str(ingress_id)
        )
        await company.hears(*body("image_inbound_with_caption_webjs"))
        assert len(await company.told("channel.message_received")) == 2

    async def test_burst_keeps_its_order(self, company: Shop) -> None:
        await company.connect()
        publisher = company.outside.publisher
        for n in range(200):
            payload = {"id": f"false_5511988880001@c.us_B{n}", "body": str(n), "timestamp": 1}
            raw = orjson.dumps({"event": "message.any", "payload": payload})
            await publish_raw(publisher, company.id, company.channel_id, "message.any", raw)
        heard = await company.until_told("channel.message_received", 200)
        assert [m["content"] for m in heard] == [str(n) for n in range(200)]


class TestVotes:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_on_our_poll_and_on_theirs_are_told(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        poll = {"question": "Cor?", "options": ["Azul", "Verde"]}
        message_id = await company.write("Cor?", content_type="poll", metadata={"poll": poll})
        ours = (await company.until_state(message_id, "sent"))["external_id"]
        theirs = await waha.receive_poll("loja", "5511988880001", "Hora?", ["9h", "10h"])
        hour = theirs.bare_id
        await waha.settled(await waha.vote("loja", ours, ["Verde"]))
        await waha.settled(await waha.vote("loja", ours, None))
        await waha.settled(await waha.vote("loja", hour, ["10h", "9h"]))
        await waha.settled(await waha.vote("loja", hour, []))
        told = await company.until_told("channel.vote_reported", 3)
        found = [(t["external_id"], t["options"], t["from_us"]) for t in told]
        assert found == [(ours, ["Verde"], False), (hour, ["10h", "9h"], False), (hour, [], False)]
        assert {t["person"]["identities"][0]["value"] for t in told} == {"5511988880001"}
        voted_at = [datetime.fromisoformat(t["voted_at"]) for t in told]
        assert voted_at == sorted(voted_at)
        (event, *_) = await company.outbox("channel.vote_reported")
        assert event["aggregate_id"] == conversation_id(company.channel_id, "5511988880001@c.us")
        (kept,) = await company.rows("SELECT * FROM raw_events WHERE event = 'poll.vote.failed'")
        assert kept["reason"] == "vote that WAHA could not decrypt"

    @pytest.mark.parametrize("engine", ENGINES)
    async def test_in_a_group_are_its_members(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        group = "120363000000000000@g.us"
        asked = await waha.receive_poll("loja", "5511988880001", "Hora?", ["9h"], group=group)
        for voter in ("5511977770002", "77@lid"):
            await waha.settled(await waha.vote("loja", asked.bare_id, ["9h"], by=voter))
        told = await company.until_told("channel.vote_reported", 2)
        shown = [(t["person"]["identities"][0]["value"], t["options"]) for t in told]
        assert shown == [("5511977770002", ["9h"]), ("77", ["9h"])]
        (event, *_) = await company.outbox("channel.vote_reported")
        assert event["aggregate_id"] == conversation_id(company.channel_id, group)


class TestCalls:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_are_told_with_whoever_calls(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        for kind in KINDS:
            answered = kind != "received"
            await waha.settled(
                await waha.call("loja", "5511988880001", kind, lid="77", by_us=answered)
            )
        statuses = KINDS if engine != "WEBJS" else KINDS[:1]
        told = await company.until_told("channel.call_reported", len(statuses))
        assert [t["status"] for t in told] == list(statuses)
        people = [[(i["kind"], i["value"]) for i in t["person"]["identities"]] for t in told]
        hidden = [("lid", "77")]
        whole = hidden if engine == "WEBJS" else [("phone", "5511988880001"), *hidden]
        assert people == [whole] * len(told)
        (event, *_) = await company.outbox("channel.call_reported")
        assert event["aggregate_id"] == conversation_id(company.channel_id, "77@lid")


class TestKept:
    async def test_unreadable_body_is_kept_byte_for_byte(self, company: Shop) -> None:
        await company.connect()
        await company.hears("message", b"\xff{not json")
        (kept,) = await company.rows("SELECT * FROM raw_events WHERE outcome = 'unreadable'")
        assert kept["body"] == b"\xff{not json"

    async def test_unknown_channel_is_kept(self, company: Shop) -> None:
        company.channel_id = uuid4()
        await company.hears(*body("text_inbound_dm_gows"))
        (kept,) = await company.rows("SELECT * FROM raw_events")
        assert (kept["outcome"], kept["reason"]) == ("unhandled", "unknown channel")

    async def test_event_nobody_knows_is_kept(self, company: Shop) -> None:
        await company.connect()
        await company.hears("brand.new", b'{"event":"brand.new","payload":{}}')
        kept = await company.rows("SELECT event FROM raw_events")
        assert {"event": "brand.new"} in kept

    async def test_message_without_our_headers_is_a_dead_letter(self, company: Shop) -> None:
        publisher = company.outside.publisher
        queue = topology.WAHA_MESSAGES.dead_letters.name
        async with publisher.channel() as amqp:
            before = (await amqp.declare_queue(queue, passive=True)).declaration_result
        await publisher.publish(
            topology.WAHA_EVENTS.name, "message.any", b"{}", message_id="x", headers={}
        )

        async def has_one_more() -> bool:
            async with publisher.channel() as amqp:
                now = (await amqp.declare_queue(queue, passive=True)).declaration_result
            return (now.message_count or 0) > (before.message_count or 0)

        await eventually(has_one_more)

    async def test_is_deleted_after_a_while(self, company: Shop) -> None:
        company.channel_id = uuid4()
        old = await company.hears(*body("text_inbound_dm_gows"))
        await company.rows("UPDATE raw_events SET received_at = now() - interval '31 days'")
        young = await company.hears(*body("video_inbound_gows"))
        assert old != young
        async with company.database.system("purge") as tx:
            assert not await purge_raw_events(tx, days=30)
        assert await company.rows("SELECT id FROM raw_events") == [{"id": young}]


class TestReceipts:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_receipts_of_our_messages_are_told(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        waha.acks = "read"
        await company.connect(engine)
        message_id = await company.write()
        row = await company.until_state(message_id, "sent")

        async def read() -> bool:
            told = await company.told("channel.message_status_reported")
            return any(
                t["status"] == "read" and t["external_id"] == row["external_id"] for t in told
            )

        await eventually(read)

    async def test_receipt_proves_a_message_of_unknown_outcome_sent(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        waha.acks, waha.echo = "delivered", False
        await company.connect("GOWS")
        waha.faults.add("error_after_accept", times=1)
        message_id = await company.write()
        await company.until_state(message_id, "sent")
        assert [m.times for m in waha.sent.values()] == [1]


class TestHiddenIds:
    async def test_phone_told_once_is_known_ever_after(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("GOWS")
        await company.hears(*body("text_inbound_lid_gows_with_phone_alt"))
        payload = {"id": "false_72318944542853@lid_L2", "body": "de novo", "timestamp": 1784800000}
        raw = orjson.dumps({"event": "message.any", "payload": payload})
        await company.hears("message.any", raw)
        _, heard = await company.told("channel.message_received")
        assert heard["person"]["identities"] == [
            {"kind": "phone", "value": "5521977770002"},
            {"kind": "lid", "value": "72318944542853"},
        ]

    async def test_unknown_phone_is_looked_up_behind_the_message(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("WEBJS")
        await waha.receive_text("loja", None, "quem sou?", lid="245896994390182")
        (first,) = await company.until_told("channel.message_received")
        assert first["person"]["identities"] == [{"kind": "lid", "value": "245896994390182"}]
        waha.session("loja").lids["245896994390182@lid"] = "5521977770002@c.us"
        await company.rows("UPDATE lid_refs SET next_lookup_at = now()")

        async def known() -> bool:
            return bool(await company.rows("SELECT 1 FROM lid_refs WHERE phone IS NOT NULL"))

        await eventually(known)
        await waha.receive_text("loja", None, "eu!", lid="245896994390182")
        _, second = await company.until_told("channel.message_received", 2)
        assert second["person"]["identities"][0] == {"kind": "phone", "value": "5521977770002"}


class TestStatus:
    async def status(self, company: Shop, word: str, at: int) -> None:
        raw = {"event": "session.status", "timestamp": at, "payload": {"status": word}}
        await company.hears("session.status", orjson.dumps(raw))

    async def test_pairing_is_told_step_by_step(self, company: Shop, waha: WahaSimulator) -> None:
        company.channel_id = UUID((await company.value(company.creation()))["id"])
        await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
        await company.until_status("pairing")
        waha.scan("loja")
        await company.until_status("connected")
        told = await company.told("channel.status_changed")
        assert [t["channel"]["status"] for t in told] == ["pairing", "connected"]
        assert told[-1]["channel"]["phone"] == "5511900000001"
        assert told[-1]["waha_status"] == "WORKING"
        assert told[-1]["channel"]["webhook_hmac_key"] is None

    async def test_older_news_change_nothing(self, company: Shop) -> None:
        await company.connect()
        far = soon()
        await self.status(company, "FAILED", far)
        await self.status(company, "WORKING", far - 1)
        assert (await company.until_status("failed"))["waha_status"] == "FAILED"

    async def test_unknown_word_is_recorded_and_changes_nothing(self, company: Shop) -> None:
        await company.connect()
        await self.status(company, "DREAMING", soon())
        assert (await company.until_status("connected"))["waha_status"] == "DREAMING"

    async def test_short_blip_is_nobodys_business_but_a_long_one_is(
        self, company: Shop, settings: ChannelsSettings
    ) -> None:
        await company.connect()
        await self.status(company, "STARTING", soon())
        await company.until_status("connected")
        book = StatusBook(Connections(settings, WahaHttp(Egress())))
        await book.degrade_stuck(company.database, 0)
        await company.until_status("degraded")
        await self.status(company, "WORKING", soon(1))
        row = await company.until_status("connected")
        assert row["status_reason"] is None

    async def test_restriction_that_is_over_is_none(self, company: Shop) -> None:
        """What is on is shown, and holds: test_restrictions.py."""
        await company.connect()
        _, raw = body("session_status_working_account_restricted_newer_build")
        later = {**orjson.loads(raw), "timestamp": soon()}
        await company.hears("session.status", orjson.dumps(later))
        row = await company.until_status("connected")
        assert (row["status_reason"], row["restricted_until"]) == (None, None)

    async def test_reports_of_many_channels_at_once(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await other_company.connect(session="filial")
        await asyncio.gather(
            self.status(company, "STOPPED", soon()),
            self.status(other_company, "FAILED", soon()),
        )
        await company.until_status("stopped")
        await other_company.until_status("failed")

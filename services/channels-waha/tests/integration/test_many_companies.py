"""Batches of many companies: as cheap as of one, and as far apart as one by one.

The handlers are called as the consumer calls them, on a database of the test's own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import chain
from typing import Any

import pytest
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import KEY_REFUSED, StatusBook
from crm_channels_waha.outbound import ledger
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from crm_testing.costs import never_analyse, reads
from crm_testing.scenes.crowd import LID, PHONE, TEXTS, Crowd, Raw, Tenant
from crm_testing.schemas import Databases
from crm_testing.services import eventually
from service_kit.egress import Egress

_WAITING = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
_HELD = "SELECT 1 FROM outbound_messages WHERE external_id = $1"


@pytest.fixture(scope="session")
def status(make_settings: Callable[..., ChannelsSettings]) -> StatusBook:
    settings = make_settings("postgresql://nobody@localhost/x", "amqp://nobody@localhost/")
    return StatusBook(Connections(settings, WahaHttp(Egress())))


@pytest.fixture
async def crowd(databases: Databases, status: StatusBook) -> AsyncIterator[Crowd]:
    async with (await databases.create()).connected() as database:
        yield Crowd(database, status)


@pytest.fixture
async def one_by_one(databases: Databases, status: StatusBook) -> AsyncIterator[Crowd]:
    async with (await databases.create()).connected() as database:
        yield Crowd(database, status)


class TestCost:
    async def test_many_companies_cost_no_more_than_two(self, crowd: Crowd) -> None:
        asked = {}
        for count in (1, 2, 60):  # at the first, asyncpg asks for the types it meets
            tenants = [Tenant() for _ in range(count)]
            await crowd.open(tenants)
            await crowd.apply([t.writes("by words") for t in tenants])
            writing = list(crowd.trips)
            await crowd.owe(tenants)
            await crowd.apply([raw for t in tenants for raw in t.hears()])
            asked[count] = (writing, list(crowd.trips))
        assert asked[60] == asked[2]
        assert [len(trips) for trips in asked[60]] == [2, 14]

    async def test_a_second_that_was_noted_just_now_is_not_noted_again(self, crowd: Crowd) -> None:
        tenant = Tenant()
        await crowd.open([tenant])

        async def noted(bare: str, set_before: str, **payload: Any) -> bool:
            await crowd.rows(tenant, f"UPDATE hearings SET {set_before}")  # noqa: S608 - our own
            await crowd.apply([tenant.says(bare, **payload)])
            return any("INTO hearings" in statement for statement in crowd.trips)

        now = "heard_at = now() + interval '1 hour'"  # for as long as this test takes
        assert await noted("1", now)
        assert not await noted("2", now)
        assert await noted("3", now, timestamp=1_790_000_001)
        assert not await noted("4", now)
        assert await noted("5", f"{now}, unanswered_since = now()")
        assert await noted("6", f"{now}, deaf_since = now()")
        assert await noted("7", "heard_at = now() - interval '2 seconds'")


class TestSameAsOneByOne:
    async def test_every_effect(self, crowd: Crowd, one_by_one: Crowd) -> None:
        tenants = [Tenant() for _ in range(7)]
        queued = [t.writes(text) for t in tenants for text in TEXTS]
        heard = [raw for t in tenants for raw in (*t.hears(), t.status("STOPPED"))]
        for place in (crowd, one_by_one):
            await place.open(tenants)
        for batch in (queued[0::3] + queued[1::3] + queued[2::3], heard[0::2] + heard[1::2]):
            for tenant in tenants:
                await one_by_one.apply([m for m in batch if m.tenant_id == tenant.id])
            await crowd.apply(batch)
            for place in (crowd, one_by_one):
                await place.send(tenants)
        for tenant in tenants:
            state = await crowd.state(tenant)
            assert state == await one_by_one.state(tenant)
            events, lids, kept, owed, channel = map(len, state)
            assert (events, lids, kept, owed, channel) == (9, 1, 1, 3, 1)
        sent = await crowd.told(tenants[0], "channel.message_sent")
        assert {event["external_id"] for event in sent} == {"W", "K", "R"}
        for said in await crowd.told(tenants[0], "channel.message_received"):
            kinds = [identity["kind"] for identity in said["person"]["identities"]]
            assert kinds == ["phone", "lid"]

    async def test_echoes_of_the_same_words_name_one_message_each(self, crowd: Crowd) -> None:
        tenants = [Tenant() for _ in range(3)]
        await crowd.open(tenants)
        await crowd.apply([t.writes("oi") for _ in range(2) for t in tenants])
        await crowd.under_way(tenants, "oi", None)
        await crowd.apply([t.echo(bare, "oi") for bare in ("X", "X", "Y", "Z") for t in tenants])
        for tenant in tenants:
            sent = await crowd.told(tenant, "channel.message_sent")
            assert [event["external_id"] for event in sent] == ["X", "Y"]
            (heard,) = await crowd.told(tenant, "channel.message_received")
            assert heard["external_id"] == "Z"

    async def test_answer_and_echo_at_once_settle_a_message_once(self, crowd: Crowd) -> None:
        tenant = Tenant()
        await crowd.open([tenant])
        message = tenant.writes("oi")
        await crowd.apply([message])
        await crowd.under_way([tenant], "oi", None)
        async with crowd.database.tenant(tenant.id) as tx:
            await ledger.mark_sent(tx, message.data.message.id, "X")
            echo = asyncio.create_task(crowd.apply([tenant.echo("X", "oi")]))
            await eventually(lambda: crowd.rows(tenant, _WAITING))
        await echo
        assert len(await crowd.told(tenant, "channel.message_sent")) == 1
        assert await crowd.told(tenant, "channel.message_received") == []

    async def test_an_answer_between_the_looks_for_an_echo_is_seen(
        self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenants = [Tenant() for _ in range(2)]
        await crowd.open(tenants)
        written = [tenant.writes("oi") for tenant in tenants]
        await crowd.apply(written)
        await crowd.under_way(tenants, "oi", None)
        look, unanswered = ledger.MESSAGES.find, list(zip(tenants, written, strict=True))

        async def answered_behind(*asked: Any) -> Any:
            found = await look(*asked)
            while unanswered:
                tenant, message = unanswered.pop()
                async with crowd.database.tenant(tenant.id) as tx:
                    await ledger.mark_sent(tx, message.data.message.id, "X")
            return found

        monkeypatch.setattr(ledger.MESSAGES, "find", answered_behind)
        await crowd.apply([tenant.echo("X", "oi") for tenant in tenants])
        for tenant in tenants:
            assert len(await crowd.told(tenant, "channel.message_sent")) == 1
            assert await crowd.told(tenant, "channel.message_received") == []


class TestApart:
    """What is of one company reaches nothing of another's, though both are in the batch."""

    async def test_events_that_name_a_strangers_channel_are_kept(self, crowd: Crowd) -> None:
        ours, theirs = Tenant(), Tenant()
        await crowd.open([ours, theirs])
        astray = Tenant(ours.id, theirs.channel_id)
        await crowd.apply(
            [theirs.says("T"), ours.says("O"), astray.says("A"), astray.status("FAILED")]
        )
        for tenant, bare in ((ours, "O"), (theirs, "T")):
            (heard,) = await crowd.told(tenant, "channel.message_received")
            assert heard["external_id"] == bare
        kept = await crowd.rows(ours, "SELECT reason FROM raw_events")
        assert kept == [("unknown channel",)] * 2
        assert await crowd.rows(theirs, "SELECT status FROM channels") == [("connected",)]

    async def test_phones_are_known_to_who_heard_them(self, crowd: Crowd) -> None:
        ours, theirs = Tenant(), Tenant()
        await crowd.open([ours, theirs])
        for bare in ("1", "2"):  # while it is learned, and when it is on record
            await crowd.apply([ours.names_lid(bare, LID, PHONE), theirs.says(bare, f"{LID}@lid")])
        assert await crowd.rows(ours, "SELECT phone FROM lid_refs") == [(PHONE,)]
        assert await crowd.rows(theirs, "SELECT phone FROM lid_refs") == [(None,)]
        for heard in await crowd.told(theirs, "channel.message_received"):
            assert heard["person"]["identities"] == [{"kind": "lid", "value": LID}]

    async def test_proof_settles_its_own_companys_message_alone(self, crowd: Crowd) -> None:
        ours, theirs = Tenant(), Tenant()
        await crowd.open([ours, theirs])
        # Ours name their channel, and are in every other way what their echoes tell of.
        astray = [ours.writes(text, theirs.channel_id) for text in ("by words", "by id")]
        await crowd.apply([*astray, ours.writes("by receipt")])
        await crowd.under_way([ours], "by words", None)
        await crowd.under_way([ours], "by id", "K")
        await crowd.under_way([ours], "by receipt", "R")
        before = await crowd.state(ours)
        await crowd.apply(
            [
                theirs.echo("W", "by words"),
                theirs.echo("K", "by id"),
                theirs.receipt("R"),
                ours.raw("brand.new", {}),
            ]
        )
        after = await crowd.state(ours)
        assert after[0] == before[0]
        assert after[3] == before[3]
        assert len(await crowd.told(theirs, "channel.message_received")) == 2


class TestLocks:
    @pytest.mark.parametrize("where", ["lids", "ledger", "channels", "everywhere"])
    async def test_batches_of_the_same_companies_never_lock_each_other_out(
        self, crowd: Crowd, where: str
    ) -> None:
        """Apart, too: who meets at the hidden ids no longer crosses behind them."""
        tenants = [Tenant() for _ in range(50)]
        await crowd.open(tenants)
        for n in range(4):
            await crowd.owe(tenants, str(n))
            there = [raw for t in tenants for raw in self._heard(t, n, where, LID, "5" + LID)]
            back = [raw for t in tenants for raw in self._heard(t, n, where, "5" + LID, LID)]
            both = asyncio.gather(crowd.apply(there), crowd.apply(back[::-1]))
            await self._refused(crowd, tenants[25], f"K{n}")
            await both

    async def test_nor_do_those_that_hear_of_one_and_of_the_state_of_another(
        self, crowd: Crowd
    ) -> None:
        tenants = [Tenant() for _ in range(50)]
        await crowd.open(tenants)
        await crowd.apply([t.says("first") for t in tenants])
        for n in range(4):
            word, second = ("FAILED", "WORKING")[n % 2], 1_790_000_001 + n
            here, there = tenants[::2], tenants[1::2]
            await asyncio.gather(
                *(
                    crowd.apply(
                        [t.status(word, second * 1000) for t in states]
                        + [t.says(f"{n}", timestamp=second) for t in hear]
                    )
                    for states, hear in ((here, there), (there, here))
                )
            )

    def _heard(self, tenant: Tenant, n: int, where: str, told: str, hidden: str) -> list[Raw]:
        """A round's events; of two people the phone of one is told, of the other it is not."""
        heard = {
            "lids": [
                tenant.names_lid(f"T{n}{told}", f"{told}{n}", PHONE),
                tenant.says(f"H{n}{told}", f"{hidden}{n}@lid"),
            ],
            "ledger": [tenant.echo(f"K{n}", "by id"), tenant.receipt(f"R{n}")],
            "channels": [tenant.status(("FAILED", "WORKING")[n % 2], 1_790_000_000_000 + n)],
            "everywhere": [tenant.echo(f"W{n}", "by words")],
        }
        return list(chain(*heard.values())) if where == "everywhere" else heard[where]

    async def _refused(self, crowd: Crowd, tenant: Tenant, external_id: str) -> None:
        """A sender, slow, whose key WAHA refuses: both batches get as far as its message."""
        async with crowd.database.tenant(tenant.id) as tx:
            await tx.execute(f"{_HELD} FOR UPDATE", external_id)
            await asyncio.sleep(0.3)
            await crowd.status.declare(tx, tenant.channel_id, "degraded", KEY_REFUSED)


class TestFreshDatabase:
    async def test_a_message_reads_a_few_entries_of_indexes(
        self, databases: Databases, status: StatusBook
    ) -> None:
        """Plans made of empty tables stay good while they fill: nothing is read end to end."""
        fresh = await databases.create()
        await never_analyse(fresh)
        async with fresh.connected(pool_size=1) as database:
            crowd = Crowd(database, status)
            messages = sum([await self._round(crowd, n) for n in range(50)])
        read = await reads(fresh)
        assert messages >= 3000
        assert read.by_index < 7 * messages  # half of that is usual
        assert read.by_scan == 0

    async def _round(self, crowd: Crowd, n: int) -> int:
        """Ten new companies hear three messages, send two, and hear of both; returns how many."""
        tenants = [Tenant() for _ in range(10)]
        await crowd.open(tenants)
        heard = [
            raw
            for t in tenants
            for raw in (t.says("1"), t.names_lid("2", LID, PHONE), t.says("3", f"{LID}@lid"))
        ]
        await crowd.apply(heard)
        await crowd.apply([t.writes(text) for t in tenants for text in ("by words", "by id")])
        for tenant in tenants:
            async with crowd.database.tenant(tenant.id) as tx:
                for external_id in (None, f"K{n}"):
                    due = await ledger.next_message(tx, tenant.channel_id)
                    assert due is not None
                    await ledger.mark_sending(tx, due.message.message_id, external_id)
                    await ledger.mark_sent(tx, due.message.message_id, external_id)
        echoes = [e for t in tenants for e in (t.echo("W", "by words"), t.echo(f"K{n}", "by id"))]
        await crowd.apply(echoes)
        await crowd.apply([t.receipt(bare) for t in tenants for bare in ("W", f"K{n}")])
        await crowd.apply([t.edits(f"K{n}") for t in tenants])
        return len(heard) + len(echoes) * 2

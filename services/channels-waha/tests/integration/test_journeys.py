"""Where messages are that we owe WhatsApp, and what each of them waits for."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS
from crm_channels_waha.journeys.requests import list_legs
from crm_channels_waha.outbound.ledger import MESSAGES
from crm_channels_waha.outbound.models import OutboundMessage
from crm_testing.costs import counting, never_analyse, plan_of
from crm_testing.scenes.channels import Shop
from crm_testing.schemas import Databases
from pydantic import ValidationError
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from shared_events.channels.journey import ListChannelLegs
from shared_events.journeys import MOST_MESSAGES, Leg
from shared_events.requests import Principal

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
MANY = """
INSERT INTO outbound_messages (message_id, tenant_id, channel_id, chat_id, content_type, state)
SELECT gen_random_uuid(), $1, $2, 'c' || n, 'text', 'sent' FROM generate_series(1, 5000) AS n
"""


@dataclass
class Ledger:
    """What a company owes, entry by entry, with nobody who works it off."""

    tenant_id: str = field(default_factory=lambda: str(uuid4()))
    channel_id: UUID = field(default_factory=uuid4)

    async def open(self, tx: Transaction, status: str) -> None:
        row = ChannelRow(
            id=self.channel_id,
            tenant_id=self.tenant_id,
            name="Loja",
            type="waha",
            status=status,
            waha_base_url="http://waha",
            waha_session="loja",
            waha_api_key_encrypted="sealed",
            session_timeout_seconds=60,
            allow_groups=False,
        )
        await CHANNELS.insert(tx, [row])

    async def owe(self, tx: Transaction, chat: str, **values: Any) -> UUID:
        row = OutboundMessage(
            message_id=uuid4(),
            tenant_id=self.tenant_id,
            channel_id=self.channel_id,
            chat_id=chat,
            content_type="text",
            content="secret",
            created_at=NOW,
            updated_at=LATER,
            **values,
        )
        await MESSAGES.insert(tx, [row])
        return row.message_id


async def legs(tx: Transaction, *message_ids: UUID) -> dict[UUID, Leg]:
    """What the service tells of these messages, as it travels."""
    call = Call(Principal(tenant_id=tx.tenant_id), "req")
    told = await list_legs(tx, ListChannelLegs(message_ids=message_ids), call)
    return {leg.message_id: leg for leg in told.data}


def waits(leg: Leg) -> tuple[str, str | None] | None:
    wait = leg.waiting_for
    return None if wait is None else (wait.what, wait.reason)


@pytest.fixture
async def database(databases: Databases) -> Any:
    own = await databases.create()
    await never_analyse(own)
    async with own.connected() as database:
        yield database


class TestLegs:
    async def test_say_how_far_each_message_came_and_what_it_waits_for(
        self, database: Database
    ) -> None:
        mine, other = Ledger(), Ledger()
        async with database.tenant(other.tenant_id) as tx:
            await other.open(tx, "connected")
            theirs = await other.owe(tx, "a")
        async with database.tenant(mine.tenant_id) as tx:
            await mine.open(tx, "connected")
            asked = {"sending_at": LATER, "attempts": 2}
            sent = await mine.owe(tx, "a", state="sent", external_id="E" * 255, **asked)
            failed = await mine.owe(tx, "a", state="failed", reason="r" * 2000)
            first = await mine.owe(tx, "a", state="unknown", reason="timeout", **asked)
            turn = await mine.owe(tx, "a", next_attempt_at=LATER)
            fresh = await mine.owe(tx, "b")
            sending = await mine.owe(tx, "c", state="sending", **asked)
            retry = await mine.owe(tx, "d", reason="r" * 2000, next_attempt_at=LATER)
            found = await legs(
                tx, sent, failed, first, turn, fresh, sending, retry, theirs, uuid4()
            )
            assert found.keys() == {sent, failed, first, turn, fresh, sending, retry}

            hops = [(hop.what, hop.at, hop.detail) for hop in found[sent].hops]
            answer = {"state": "sent", "external_id": "E" * 255, "reason": None}
            assert hops == [
                ("entered", NOW, {}),
                ("asked", LATER, {"attempts": 2}),
                ("answered", LATER, answer),
            ]
            assert {hop.service for leg in found.values() for hop in leg.hops} == {"channels-waha"}
            assert [hop.what for hop in found[failed].hops] == ["entered", "answered"]
            assert found[failed].hops[-1].detail["reason"] == "r" * 2000
            assert (waits(found[sent]), waits(found[failed])) == (None, None)

            assert [hop.what for hop in found[first].hops] == ["entered", "asked"]
            assert waits(found[first]) == ("proof", "timeout")
            assert found[turn].hops[0].detail == {"behind": first}
            assert waits(found[turn]) == ("turn", None)
            assert waits(found[fresh]) == ("sender", None)
            assert waits(found[sending]) == ("answer", None)
            assert waits(found[retry]) == ("retry", "r" * 1000)
            retried = found[retry].waiting_for
            assert retried and (retried.since, retried.next_at) == (NOW, LATER)
            unsettled = found[first].waiting_for
            assert unsettled and unsettled.since == LATER

            # What is said of one is said without what it says.
            assert "secret" not in str(found)

    async def test_name_the_channel_that_is_not_connected(self, database: Database) -> None:
        mine = Ledger()
        async with database.tenant(mine.tenant_id) as tx:
            await mine.open(tx, "degraded")
            quiet, tried = await mine.owe(tx, "a"), await mine.owe(tx, "b", reason="refused")
            found = await legs(tx, quiet, tried)
            assert waits(found[quiet]) == ("channel", "degraded")
            assert waits(found[tried]) == ("channel", "refused")
            await tx.execute("UPDATE channels SET deleted_at = now()")
            assert waits((await legs(tx, quiet))[quiet]) == ("channel", "deleted")

    async def test_cost_one_statement_by_indexes_however_many_they_are(
        self, database: Database
    ) -> None:
        mine = Ledger()
        async with database.tenant(mine.tenant_id) as tx:
            await mine.open(tx, "connected")
            await tx.execute(MANY, mine.tenant_id, mine.channel_id)
            some = [await mine.owe(tx, "a") for _ in range(MOST_MESSAGES)]
            await legs(tx, *some)  # the driver asks for types
            with counting(tx) as asked:
                assert len(await legs(tx, *some)) == MOST_MESSAGES
                await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
            assert len(asked) == 1
            plan = await plan_of(tx, legs(tx, *some))
            assert "idx_outbound_messages_message" in plan.indexes
            assert "outbound_messages" not in plan.whole
            assert plan.rows < 6 * MOST_MESSAGES
        with pytest.raises(ValidationError):
            ListChannelLegs(message_ids=[uuid4() for _ in range(MOST_MESSAGES + 1)])

    async def test_are_asked_for_over_the_bus(self, company: Shop, other_company: Shop) -> None:
        await company.connect()
        message_id = await company.write("Oi!")
        await company.until_state(message_id, "sent")
        request = ListChannelLegs(message_ids=[message_id])
        (leg,) = (await company.value(request))["data"]
        assert [hop["what"] for hop in leg["hops"]] == ["entered", "asked", "answered"]
        assert leg["waiting_for"] is None
        assert (await other_company.value(request))["data"] == []

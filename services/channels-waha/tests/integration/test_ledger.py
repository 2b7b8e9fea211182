"""What the ledger allows, and when a sender looks at it."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from crm_channels_waha.outbound import channel_sender, ledger
from crm_channels_waha.outbound.consumers import on_message_queued
from crm_channels_waha.outbound.echoes import Echo, confirm
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Shop, queued_message
from crm_testing.services import event_of, eventually
from service_kit.cause import Cause
from service_kit.incoming import Event

LOCKS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database
    WHERE datname = current_database())
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0)
"""


async def sender_runs(company: Shop) -> bool:
    """Whether a process holds the lock of the company's channel."""
    (row,) = await company.rows(LOCKS, f"channels_waha/send/{company.channel_id}")
    return bool(row["count"])


async def sender_rests(company: Shop) -> bool:
    return not await sender_runs(company)


async def unsettled(company: Shop, waha: WahaSimulator) -> UUID:
    """A message of unknown outcome, that is not looked for yet; returns its id."""
    waha.echo = False
    waha.faults.add("timeout_after_accept", times=1, seconds=0.1)
    message_id = await company.write("primeira")
    await company.until_state(message_id, "unknown")
    async with company.database.tenant(company.id) as tx:
        await ledger.mark_waiting(tx, message_id, "unknown", 60, "not yet")
    return message_id


class TestMarks:
    async def test_sending_is_for_what_was_pending_alone(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        message_id = await company.write()
        await company.until_state(message_id, "sent")
        async with company.database.tenant(company.id) as tx:
            assert not await ledger.mark_sending(tx, message_id, None)
            assert not await ledger.mark_sending(tx, UUID(int=0), None)
            assert not await ledger.mark_sent(tx, message_id, None)
            assert not await ledger.may_have_left(tx, message_id)


class TestTurns:
    async def test_what_people_write_goes_before_what_is_sent_in_bulk(self, company: Shop) -> None:
        """Except in one chat: there the order stays."""
        channel_id, turns = uuid4(), []
        said = [("1@c.us", True), ("2@c.us", True), ("3@c.us", False), ("1@c.us", False)]
        queued = [
            queued_message(channel_id, str(n), to=to).model_copy(update={"bulk": bulk})
            for n, (to, bulk) in enumerate(said)
        ]
        async with company.database.tenant(company.id) as tx:
            for one in queued:
                envelope = event_of(company.id, one)
                event = Event(envelope.event_id, company.id, envelope, {}, Cause("request-1"))
                await on_message_queued(tx, [event])
            while (following := await ledger.next_message(tx, channel_id)) is not None:
                turns.append(following.message.content)
                await ledger.mark_failed(tx, following.message.message_id, "no", "No.")
        assert turns == ["2", "0", "3", "1"]


class TestSender:
    async def test_leaves_a_channel_that_owes_nothing_and_returns_to_it(
        self, company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 0.02)
        monkeypatch.setattr(channel_sender, "_IDLE_POLLS", 3)
        await company.connect()
        for text in ("um", "dois"):
            message_id = await company.write(text)
            await company.until_state(message_id, "sent")
            await eventually(lambda: sender_rests(company))
        assert [m.text for m in waha.sent.values()] == ["um", "dois"]

    async def test_stays_with_a_channel_that_owes_something(
        self, company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 0.01)
        monkeypatch.setattr(channel_sender, "_IDLE_POLLS", 3)
        await company.connect()
        await unsettled(company, waha)
        # Longer than a sender without work stays.
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert await sender_runs(company)

    async def test_is_woken_by_the_echo_of_what_it_waits_for(
        self, company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What stands behind a message of unknown outcome goes as soon as that is settled."""
        monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 60.0)
        await company.connect()
        first = await unsettled(company, waha)
        second = await company.write("segunda")
        await company.until_state(second, "pending")
        async with company.database.tenant(company.id) as tx:
            echo = Echo(
                tenant_id=company.id,
                channel_id=company.channel_id,
                external_id=str((await company.ledger(first))["external_id"]),
                at=datetime.now(UTC),
                cause=Cause(),
            )
            assert await confirm(tx, [echo])
        await company.until_state(second, "sent")

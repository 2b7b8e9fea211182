"""Messages that expire, and those that are queued once more after they failed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from crm_channels_waha.outbound.consumers import on_message_queued
from crm_channels_waha.outbound.stalled import StallAlarm
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Shop, queued_message
from prometheus_client import REGISTRY
from service_kit.cause import Cause
from service_kit.incoming import Event
from shared_events.channels.channel import DriveChannel
from shared_events.messaging.message import MessageQueued

SOON = timedelta(milliseconds=200)


async def stopped(company: Shop, session: str) -> None:
    """A channel whose session does not work."""
    await company.connect(session=session)
    await company.value(DriveChannel(channel_id=company.channel_id, action="stop"))
    await company.until_status("stopped")


async def count_stalled(company: Shop) -> None:
    """Count what has waited for a moment."""
    await StallAlarm(company.database, 0.001).once()


def stalled(company: Shop) -> float | None:
    """How many of a company's messages wait and do not get on; None when it is not named."""
    labels = {"channel": str(company.channel_id), "state": "pending"}
    return REGISTRY.get_sample_value("crm_waha_stalled_messages", labels)


def message(company: Shop, content: str, **fields: Any) -> MessageQueued:
    return queued_message(company.channel_id, content, **fields)


def heard(company: Shop, queued: MessageQueued) -> Event[MessageQueued]:
    """The event as a consumer hands it over."""
    envelope = company.envelope(queued)
    return Event(envelope.event_id, company.id, envelope, {}, Cause("request-1"))


def once_more(queued: MessageQueued, version: int = 2) -> MessageQueued:
    """The message queued again, without its time."""
    changes = {"version": version, "expires_at": None}
    return queued.model_copy(update={"message": queued.message.model_copy(update=changes)})


async def settle(company: Shop, message_id: UUID, reason: str, state: str = "failed") -> None:
    """Let a message of the ledger have ended so."""
    async with company.database.tenant(company.id) as tx:
        await tx.execute(
            "UPDATE outbound_messages SET state = $2, reason = $3,"
            " next_attempt_at = now() + interval '1 hour' WHERE message_id = $1",
            message_id,
            state,
            reason,
        )


async def test_what_is_not_sent_in_time_fails_and_can_be_queued_once_more(
    company: Shop, other_company: Shop, waha: WahaSimulator
) -> None:
    expiring = []
    for shop, session in ((company, "loja"), (other_company, "outra")):
        await stopped(shop, session)
        at = datetime.now(UTC) + SOON
        waits = message(shop, "espera")
        late = message(shop, "atrasada", expires_at=at)
        elsewhere = message(shop, "outro chat", to="5511977770002@c.us", expires_at=at)
        for queued in (waits, late, elsewhere):
            await shop.publish(queued)
        expiring.append((shop, waits, late, elsewhere))
    for shop, waits, late, elsewhere in expiring:
        told = await shop.until_told("channel.message_failed", 2)
        ids = {str(late.message.id), str(elsewhere.message.id)}
        assert {one["message_id"] for one in told} == ids
        assert {one["code"] for one in told} == {"expired"}
        assert (await shop.ledger(late.message.id))["reason"].startswith("expired: ")
        assert (await shop.ledger(waits.message.id))["state"] in ("pending", "sending")
    await count_stalled(company)
    assert stalled(company) == stalled(other_company) == 1
    assert waha.sent == {}
    for _ in range(2):
        await company.publish(late_of(expiring[0]))
        await company.publish(once_more(late_of(expiring[0])))
    await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
    waha.scan("loja")
    await company.until_state(late_of(expiring[0]).message.id, "sent")
    await count_stalled(company)
    assert (stalled(company), stalled(other_company)) == (None, 1)
    sent = sorted(m.text or "" for m in waha.sent.values() if m.session == "loja")
    assert sent == ["atrasada", "espera"]
    assert all(m.times == 1 for m in waha.sent.values())
    await company.publish(once_more(late_of(expiring[0])))
    last = await company.write("depois")
    await company.until_state(last, "sent")
    assert all(m.times == 1 for m in waha.sent.values())
    assert len(waha.sent) == 3


def late_of(one: tuple[Shop, MessageQueued, MessageQueued, MessageQueued]) -> MessageQueued:
    return one[2]


async def test_what_may_have_arrived_is_never_sent_again(
    company: Shop, other_company: Shop, waha: WahaSimulator
) -> None:
    await stopped(company, "loja")
    await company.write("holds back all others of its chat")
    outcomes = {
        "outcome_unknown: reset": ("failed", "failed"),
        "outcome_unknown": ("failed", "failed"),
        "": ("sent", "sent"),
        "interrupted": ("unknown", "unknown"),
        "waha_failed: twice": ("failed", "pending"),
    }
    queued = {reason: message(company, reason or "x") for reason in outcomes}
    for reason, one in queued.items():
        await company.publish(one)
        await company.until_state(one.message.id, "pending")
        await settle(company, one.message.id, reason, outcomes[reason][0])
    async with company.database.tenants([company.id, other_company.id]) as tx:
        await on_message_queued(tx, [heard(company, once_more(one)) for one in queued.values()])
        theirs = once_more(queued["waha_failed: twice"], 3)
        await on_message_queued(tx, [heard(other_company, theirs)])
    for reason, (_, after) in outcomes.items():
        row = await company.ledger(queued[reason].message.id)
        assert (reason, row["state"]) == (reason, after)
        assert row["message_version"] == (2 if after == "pending" else 1)
    assert waha.sent == {}

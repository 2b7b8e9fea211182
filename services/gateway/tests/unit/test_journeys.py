"""What a message itself tells of its way, and how legs become one journey."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from crm_gateway.journeys.reading import journey
from crm_gateway.journeys.schemas import MessageJourney
from shared_events.journeys import Leg, MessageHop, Wait
from shared_events.messaging.message import Message

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
FILE = {"media": {"state": "pending"}}


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def message(**values: Any) -> Message:
    """One of ours that waits to be sent."""
    plain: dict[str, Any] = {
        "id": uuid4(),
        "contact_id": uuid4(),
        "conversation_id": uuid4(),
        "session_id": uuid4(),
        "channel_id": uuid4(),
        "direction": "outbound",
        "origin": "agent",
        "content_type": "text",
        "status": "queued",
        "seq": 7,
        "created_at": NOW,
        "updated_at": at(60),
    }
    return Message.model_validate({**plain, **values})


def inbound(**values: Any) -> Message:
    """One a customer said."""
    return message(direction="inbound", origin="customer", status="received", **values)


def of(message: Message, **legs: Leg) -> MessageJourney:
    named = {name.replace("_", "-"): leg for name, leg in legs.items()}
    return journey(message.id, message, named, [])


def shown(found: MessageJourney) -> list[tuple[str, str, datetime | None]]:
    return [(hop.service, hop.what, hop.at) for hop in found.hops]


class TestMessage:
    def test_of_a_customer_was_said_and_stored(self) -> None:
        late = inbound(sent_at=at(-90.5))
        found = of(late)
        assert shown(found) == [("whatsapp", "said", at(-90.5)), ("messaging", "stored", NOW)]
        where = {
            "conversation_id": late.conversation_id,
            "session_id": late.session_id,
            "seq": 7,
            "late_seconds": 90.5,
        }
        assert (found.hops[1].detail, found.waiting_for) == (where, None)
        assert (found.direction, found.status) == ("inbound", "received")
        # WhatsApp's clock may be ahead of ours; what it did not say is not made up.
        assert of(inbound(sent_at=at(5))).hops[0].detail["late_seconds"] == 0
        assert shown(of(inbound())) == [("messaging", "stored", NOW)]

    def test_of_ours_was_asked_for_by_somebody_and_got_so_far(self) -> None:
        agent = uuid4()
        times = {"sent_at": at(1), "delivered_at": at(2), "read_at": at(3), "played_at": at(4)}
        found = of(message(status="played", sent_by=agent, revoked_at=at(9), **times))
        assert shown(found) == [
            ("messaging", "queued", NOW),
            ("whatsapp", "sent", at(1)),
            ("whatsapp", "delivered", at(2)),
            ("whatsapp", "read", at(3)),
            ("whatsapp", "played", at(4)),
            ("messaging", "revoked", at(9)),
        ]
        assert found.hops[0].detail["sent_by"] == agent

        failed = of(message(status="failed", failed_at=at(5), failure_reason="expired: late"))
        assert shown(failed)[-1] == ("messaging", "failed", at(5))
        assert failed.hops[-1].detail == {"reason": "expired: late"}

        scheduled = message(session_id=None, seq=0, send_at=at(900), status="cancelled")
        assert shown(of(scheduled)) == [
            ("messaging", "scheduled", NOW),
            ("messaging", "cancelled", at(60)),
        ]

    @pytest.mark.parametrize(
        ("waiting", "what", "since", "next_at"),
        [
            (message(status="scheduled", session_id=None, send_at=at(9)), "send_at", at(60), at(9)),
            (message(), "channel", at(60), None),
            (message(status="sent", sent_at=at(1)), "receipt", at(1), None),
            (inbound(metadata=FILE), "file", NOW, None),
            (message(status="sent", origin="phone"), None, None, None),
            (message(status="delivered", metadata=FILE), None, None, None),
            (message(status="delivered", metadata={"media": "ours"}), None, None, None),
            (message(status="failed"), None, None, None),
            (inbound(metadata={"media": {"state": "stored"}}), None, None, None),
        ],
    )
    def test_waits_for_what_is_next(
        self, waiting: Message, what: str | None, since: datetime, next_at: datetime
    ) -> None:
        wait = of(waiting).waiting_for
        if what is None:
            assert wait is None
        else:
            assert wait and (wait.what, wait.since, wait.next_at) == (what, since, next_at)


class TestLegs:
    def test_are_put_in_the_order_of_the_way_within_whatsapps_seconds(self) -> None:
        said = inbound(sent_at=NOW, created_at=at(0.3))

        def hop(service: str, what: str, at: datetime | None) -> MessageHop:
            return MessageHop(service=service, what=what, at=at)

        told = Leg(
            message_id=said.id,
            hops=[
                hop("webhooks", "delivery", at(0.9)),
                hop("messaging", "message.received", at(0.2)),
                hop("channels-waha", "channel.message_received", at(0.4)),
                hop("gateway", "ingress", at(0.1)),
                hop("webhooks", "delivery", at(0.8)),
                hop("messaging", "message.edited", at(7)),
            ],
        )
        assert [what for _, what, _ in shown(of(said, webhooks=told))] == [
            "said",
            "ingress",
            "channel.message_received",
            "stored",
            "message.received",
            "delivery",
            "delivery",
            "message.edited",
        ]
        assert [at for _, _, at in shown(of(said, webhooks=told))][5:7] == [at(0.8), at(0.9)]
        unknown = Leg(message_id=said.id, hops=[hop("gateway", "ingress", None)])
        assert shown(of(said, webhooks=unknown))[0] == ("gateway", "ingress", None)

    def test_the_first_on_the_way_says_what_is_waited_for(self) -> None:
        ours = message()

        def leg(service: str, what: str | None) -> Leg:
            wait = Wait(service=service, what=what, since=NOW) if what else None
            return Leg(message_id=ours.id, hops=[], waiting_for=wait)

        owed, told = leg("channels-waha", "retry"), leg("webhooks", "delivery")
        assert (wait := of(ours, webhooks=told, channels_waha=owed).waiting_for)
        assert wait.what == "retry"
        # It is sent, and messaging has not been told: that is in the channel's hands still.
        done = leg("channels-waha", None)
        assert (wait := of(ours, webhooks=told, channels_waha=done).waiting_for)
        assert wait.what == "channel"
        arrived = message(status="delivered")
        assert of(arrived, webhooks=told, channels_waha=done).waiting_for == told.waiting_for

        alone = journey(ours.id, None, {"webhooks": told}, ["messaging"])
        assert (alone.status, alone.missing) == (None, ["messaging"])
        assert alone.waiting_for == told.waiting_for

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from crm_messaging.messages.receipts import Receipt, advance, from_report
from crm_testing.scenes.messaging import Scene
from service_kit.database import Database
from shared_events.messaging.message import Message, MessageStatus

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def message(**changes: Any) -> Message:
    values = {
        "id": uuid4(),
        "contact_id": uuid4(),
        "channel_id": uuid4(),
        "direction": "outbound",
        "origin": "agent",
        "content_type": "text",
        "status": "queued",
        "seq": 1,
        "created_at": START,
        "updated_at": START,
        **changes,
    }
    return Message.model_validate(values)


def receipt(status: MessageStatus, minute: int = 1, **changes: Any) -> Receipt:
    return Receipt(status, START + timedelta(minutes=minute), **changes)


class TestAdvance:
    @pytest.mark.parametrize(
        ("current", "reported", "result"),
        [
            ("queued", "sent", "sent"),
            ("sent", "failed", "failed"),
            ("failed", "sent", "failed"),
            ("failed", "delivered", "delivered"),
            ("delivered", "failed", "delivered"),
            ("read", "delivered", "read"),
            ("delivered", "read", "read"),
            ("read", "played", "played"),
            ("queued", "played", "played"),
        ],
    )
    def test_status_is_the_highest_step(
        self, current: MessageStatus, reported: MessageStatus, result: MessageStatus
    ) -> None:
        progress = advance(message(status=current), receipt(reported))
        assert progress.message.status == result
        assert progress.raised == (result != current)

    def test_late_lower_step_only_fills_its_time(self) -> None:
        read = message(status="read", read_at=START)
        progress = advance(read, receipt("delivered"))
        assert (progress.changed, progress.raised) == (True, False)
        assert progress.message.delivered_at == START + timedelta(minutes=1)

    def test_repeated_step_keeps_its_first_time(self) -> None:
        first = advance(message(), receipt("delivered", 1)).message
        second = advance(first, receipt("delivered", 9))
        assert not second.changed
        assert second.message.delivered_at == START + timedelta(minutes=1)

    def test_any_order_ends_alike(self) -> None:
        steps = [
            receipt("sent", 1),
            receipt("failed", 2),
            receipt("delivered", 3),
            receipt("read", 4),
        ]
        ends = set()
        for order in permutations(steps):
            end = message()
            for step in order:
                end = advance(end, step).message
            ends.add((end.status, end.sent_at, end.failed_at, end.delivered_at, end.read_at))
        assert len(ends) == 1
        assert ends.pop()[0] == "read"

    def test_reading_an_inbound_message_is_no_event(self) -> None:
        inbound = message(direction="inbound", status="received")
        progress = advance(inbound, receipt("read"))
        assert (progress.changed, progress.raised) == (True, False)
        assert progress.message.status == "received"
        assert progress.message.read_at is not None
        assert not advance(inbound, receipt("delivered")).changed

    def test_participant_of_a_direct_chat_counts(self) -> None:
        step = receipt("read", participant="1@c.us")
        assert advance(message(status="sent"), step).raised


class TestFromReport:
    async def test_pending_says_nothing(self) -> None:
        scene = Scene(Database("postgresql://nobody@localhost/none", "none"))
        assert from_report(scene.receipt("A", "pending")) is None

    async def test_failure_has_a_reason(self) -> None:
        scene = Scene(Database("postgresql://nobody@localhost/none", "none"))
        found = from_report(scene.receipt("A", "failed", error_code="131026"))
        assert found is not None
        assert found.reason == "131026"

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

from crm_messaging.messages.members import Members, participant_of
from crm_messaging.messages.receipts import Receipt, Step
from crm_messaging.messages.repository import Said
from shared_events import examples
from shared_events.messaging.message import Message

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def ours(**changes: object) -> Message:
    example = examples.load("message.sent")["data"]["message"]
    return Message.model_validate({**example, "id": uuid4(), **changes})


def receipt(status: Step, minute: int = 0, who: str | None = "1@lid") -> Receipt:
    return Receipt(status, START + timedelta(minutes=minute), participant=who)


def test_any_order_ends_alike_and_counts_each_member_once() -> None:
    steps = [receipt("delivered", 1), receipt("read", 2), receipt("played", 3)]
    for order in permutations([*steps, *steps]):
        members, message = Members(), ours()
        for step in order:
            message = members.take("tenant", message, step)
        assert message.receipts
        assert message.receipts.model_dump() == {"delivered": 1, "read": 1, "played": 1}
        (member,) = members.known.values()
        assert member.delivered == START + timedelta(minutes=1)
        assert member.played == START + timedelta(minutes=3)


def test_who_read_it_has_it_delivered() -> None:
    members, message = Members(), ours()
    for who in ("1@lid", "2@lid"):
        message = members.take("tenant", message, receipt("delivered", who=who))
    read = members.take("tenant", message, receipt("read", who="3@lid"))
    assert read.receipts
    assert read.receipts.model_dump() == {"delivered": 3, "read": 1, "played": 0}
    assert read.version == message.version + 1
    assert (read.status, read.read_at) == (message.status, message.read_at)


def test_what_is_no_news_changes_nothing() -> None:
    members, message = Members(), ours()
    message = members.take("tenant", message, receipt("read"))
    for status in ("sent", "failed", "read"):
        again = receipt("read", 9) if status == "read" else Receipt(status, START, None, "1@lid")
        assert members.take("tenant", message, again) is message


def test_takes_members_of_groups_that_we_wrote_to() -> None:
    group, person = "1203630@g.us", "5511988880001@c.us"
    theirs = ours(direction="inbound")
    assert Members.takes(Said("t", ours(), group), receipt("read"))
    assert not Members.takes(Said("t", ours(), group), receipt("read", who=None))
    assert not Members.takes(Said("t", ours(), person), receipt("read"))
    assert not Members.takes(Said("t", theirs, group), receipt("read"))


def test_aliases_are_one_member() -> None:
    for who in ("551188880001@c.us", "5511988880001:7@s.whatsapp.net"):
        assert participant_of(receipt("read", who=who)) == "5511988880001@c.us"

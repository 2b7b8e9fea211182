"""The soak's judge: it must see what is late, doubled and lost, or its verdict means nothing."""

import orjson

from bench.platform import Channel
from bench.soak.ledger import PREFIX, Conversation, Ledger
from bench.soak.storm import plan

CHANNEL = Channel("http://gateway/webhook", b"key", {"payload": {}})


def ledger(*accepted: int) -> Ledger:
    """Conversations of which so many messages were accepted."""
    book = Ledger()
    for number, count in enumerate(accepted):
        book.conversations.append(Conversation(number, CHANNEL))
        for _ in range(count):
            book.accept(book.conversations[-1])
    return book


def webhook(number: int, place: int, webhook_id: str) -> bytes:
    external_id = Conversation(number, CHANNEL, accepted=place).next_id
    message = {"external_id": external_id}
    return orjson.dumps({"id": webhook_id, "data": {"message": message}})


class TestLedger:
    def test_counts_what_was_told_in_order(self) -> None:
        book = ledger(2, 1)
        for number, place in ((0, 0), (1, 0), (0, 1)):
            book.take(webhook(number, place, f"{number}-{place}"))
        assert (book.accepted, book.delivered, book.written_to) == (3, 3, 2)
        assert (book.late, book.doubled, book.repeated) == (0, 0, 0)

    def test_knows_a_repeat_from_a_double_by_the_webhook_id(self) -> None:
        book = ledger(1)
        for webhook_id in ("a", "a", "b"):
            book.take(webhook(0, 0, webhook_id))
        assert (book.delivered, book.repeated, book.doubled) == (1, 1, 1)

    def test_counts_each_message_that_comes_after_a_later_one(self) -> None:
        book = ledger(4)
        for place in (0, 3, 1, 2):
            book.take(webhook(0, place, str(place)))
        assert (book.delivered, book.late) == (4, 2)


class TestIds:
    def test_sort_within_a_conversation_as_they_were_written(self) -> None:
        ids = [
            Conversation(7, CHANNEL, accepted=place).next_id for place in (0, 9, 10, 255, 70_000)
        ]
        assert ids == sorted(ids)
        assert len({each[:PREFIX] for each in ids}) == 1


class TestPlan:
    def test_spreads_the_restarts_among_the_kills(self) -> None:
        blows = plan(120, every=30, broker=2, database=1)
        assert [(blow.at, blow.server) for blow in blows] == [
            (30, ""),
            (40, "rabbitmq"),
            (60, ""),
            (60, "postgres"),
            (80, "rabbitmq"),
            (90, ""),
        ]

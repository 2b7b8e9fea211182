"""The judge of the three accounts: it must see what one of them misses, adds or tells too early."""

from bench.agreement.accounts import Account, Event, disagreements


def account(*events: Event) -> Account:
    told = Account()
    for event in events:
        told.hear(event)
    return told


def message(number: int, session: str = "s") -> Event:
    return {"id": f"{session}{number}", "data": {"message": {"session_id": session}}}


LOG = account(message(1), message(2), message(1, "other"))


class TestDisagreements:
    def test_are_none_between_the_same(self) -> None:
        same = dict.fromkeys(("webhooks", "stream", "feed"), LOG)
        assert disagreements(LOG, same) == []

    def test_name_what_was_missed_and_what_was_added(self) -> None:
        other = account(message(1), message(2), message(3))
        assert disagreements(LOG, {"feed": other}) == [
            "feed: 1 missed",
            "feed: 1 told what the log does not hold",
        ]

    def test_know_another_order_within_a_session(self) -> None:
        other = account(message(2), message(1), message(1, "other"))
        assert disagreements(LOG, {"webhooks": other}) == ["webhooks: 2 told out of order"]

    def test_know_no_order_of_webhooks_between_sessions(self) -> None:
        other = account(message(1, "other"), message(1), message(2))
        assert disagreements(LOG, {"webhooks": other}) == []
        assert disagreements(LOG, {"stream": other}) == ["stream: 3 told out of order"]

    def test_take_an_event_that_comes_again_for_one(self) -> None:
        other = account(message(1), message(1), message(2), message(1, "other"))
        assert disagreements(LOG, {"webhooks": other}) == []
        assert other.again == 1

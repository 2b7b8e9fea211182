"""What WAHA tells of votes on polls, in every shape seen."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import Kept, Listener, Translation, Voted
from crm_channels_waha.waha.translate import translate
from crm_fakes import examples

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "loja-exemplo")


def webhook(vote: Any, poll: Any, **payload: Any) -> Translation:
    told = {"vote": vote, "poll": poll, **payload}
    return translate({"event": "poll.vote", "payload": told}, LISTENER, RECEIVED_AT)


def named(name: str) -> Translation:
    return translate(examples.by_name(name).body, LISTENER, RECEIVED_AT)


class TestVotes:
    def test_example_means_what_it_expects(self) -> None:
        expected, found = (
            examples.by_name("poll_vote_on_our_poll_noweb").expected,
            named("poll_vote_on_our_poll_noweb"),
        )
        assert isinstance(found, Voted)
        assert found.chat_id == expected["chat_id"]
        report = found.report
        assert (report.external_id, report.options) == (
            expected["poll_key"],
            expected["selected_options"],
        )
        assert [i.value for i in report.person.identities] == [expected["phone"]]
        assert report.voted_at == datetime.fromtimestamp(1784800440.123, UTC)
        assert not report.from_us

    def test_that_cannot_be_decrypted_is_kept_and_says_so(self) -> None:
        reason = "vote that WAHA could not decrypt"
        assert named("poll_vote_failed_noweb") == Kept("unhandled", reason)

    @pytest.mark.parametrize(
        ("vote", "poll", "reason"),
        [
            (None, None, "vote without poll or choice"),
            ({"id": "false_55119@c.us_V1", "selectedOptions": ["a"]}, {}, None),
            ({"id": "false_55119@c.us_V1", "selectedOptions": None}, "P1", None),
            ({"id": "false_55119@c.us_V1"}, "P1", None),
            ({"id": "", "selectedOptions": []}, "P1", "not a conversation"),
            ({"id": "false_55119@c.us_V1", "selectedOptions": [""]}, "P1", "vote for no option"),
            ({"id": "false_55119@c.us_V1", "selectedOptions": [{}]}, "P1", "vote for no option"),
            ({"id": "false_55119@c.us_V1", "selectedOptions": ["a" * 256]}, "P1", "no option"),
            ({"id": "false_55119@c.us_V1", "selectedOptions": ["a"] * 101}, "P1", "no option"),
            ({"id": "false_12036@g.us_V1", "selectedOptions": ["a"]}, "P1", "done by nobody"),
            (
                {"id": "false_status@broadcast_V1", "selectedOptions": []},
                "P1",
                "not a conversation",
            ),
        ],
    )
    def test_that_says_too_little_is_kept(self, vote: Any, poll: Any, reason: str | None) -> None:
        found = webhook(vote, {"id": poll} if isinstance(poll, str) else poll)
        assert isinstance(found, Kept)
        assert found.reason.endswith(reason or "vote without poll or choice")

    def test_hidden_voter_is_shown_with_the_phone_gows_knows(self) -> None:
        found = webhook(
            {"id": "false_12036@g.us_V1_77@lid", "participant": "77@lid", "selectedOptions": ["a"]},
            {"id": "true_12036@g.us_P1"},
            _data={"Info": {"SenderAlt": "55119@s.whatsapp.net"}},
        )
        assert isinstance(found, Voted)
        shown = [(i.kind, i.value) for i in found.report.person.identities]
        assert (shown, found.chat_id) == ([("phone", "55119"), ("lid", "77")], "12036@g.us")

    def test_of_our_own_on_the_phone_is_ours(self) -> None:
        vote = {"id": "true_55119@c.us_P1", "fromMe": True, "selectedOptions": ["a"]}
        found = webhook(vote | {"timestamp": 1784800440}, {"id": "false_55119@c.us_P1"})
        assert isinstance(found, Voted)
        assert (found.report.from_us, found.report.external_id) == (True, "P1")
        assert found.report.voted_at == datetime.fromtimestamp(1784800440, UTC)

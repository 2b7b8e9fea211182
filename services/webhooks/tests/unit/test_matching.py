from uuid import UUID

import pytest
from crm_webhooks.deliveries.matching import channel_of, concerns, session_of, wants
from shared_events import examples
from shared_events.registry import PUBLIC


class TestWants:
    @pytest.mark.parametrize(
        ("patterns", "wanted"),
        [
            (["*"], True),
            (["message.*"], True),
            (["message.received"], True),
            (["contact.*", "message.received"], True),
            (["message.sent"], False),
            (["messages.*"], False),
            (["message.receive"], False),
            ([], False),
        ],
    )
    def test_covers_by_star_family_or_name(self, patterns: list[str], wanted: bool) -> None:
        assert wants(patterns, "message.received") is wanted


OF_NO_CHANNEL = {"agent", "note", "tracking", "webhook", "export", "import", "subject"}
OF_A_SESSION = {"message", "session"}
OF_A_CHANNEL = {
    *("bulk", "call", "channel", "conversation", "history", "label", "message", "session"),
}


class TestConcerns:
    @pytest.mark.parametrize(
        ("asked", "happened", "wanted"),
        [
            ([], "a", True),
            ([], None, True),
            (["a", "b"], "b", True),
            (["a"], "b", False),
            (["a"], None, True),
        ],
    )
    def test_what_happens_where_it_was_asked_for(
        self, asked: list[str], happened: str | None, wanted: bool
    ) -> None:
        assert concerns(asked, happened) is wanted

    def test_every_public_event_tells_its_channel_or_has_none(self) -> None:
        for event in PUBLIC:
            noun = event.event_type.partition(".")[0]
            channel = channel_of(examples.load(event.event_type)["data"])
            if noun in OF_A_CHANNEL:
                assert channel, event.event_type
                assert str(UUID(channel)) == channel
            else:
                assert noun in OF_NO_CHANNEL | {"contact"}
                assert channel is None, event.event_type

    def test_every_public_event_of_a_session_tells_which(self) -> None:
        for event in PUBLIC:
            noun = event.event_type.partition(".")[0]
            session = session_of(examples.load(event.event_type)["data"])
            if noun in OF_A_SESSION:
                assert session, event.event_type
                assert str(UUID(session)) == session
            else:
                assert session is None or noun in ("note", "tracking"), event.event_type

    @pytest.mark.parametrize(("named", "found"), [("c1", "c1"), ("all", None)])
    def test_an_opt_out_is_of_a_channel_or_of_all(self, named: str, found: str | None) -> None:
        assert channel_of({"opt_out": {"channel_id": named}}) == found
        assert channel_of({"contact_id": "x", "channel_id": named}) == found

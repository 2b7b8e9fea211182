"""The newest edit is what a message says, in whatever order edits come."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from crm_messaging.messages.changes.edits import Edit, Version, edited, is_by_author
from shared_events.identity import WhatsAppId
from shared_events.messaging.message import Message

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MARIA = WhatsAppId("phone", "5511988880001")
CHAT = "5511988880001@c.us"


def message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        **{name: uuid4() for name in ("id", "contact_id", "channel_id")},
        **{"direction": "inbound", "origin": "customer", "content_type": "text"},
        **{"content": "um", "status": "received", "seq": 1},
        **{"sent_at": AT, "created_at": AT, "updated_at": AT},
    }
    return Message.model_validate({**values, **changes})


def edit(content: str, seconds: float, edit_id: str = "", **changes: Any) -> Edit:
    values: dict[str, Any] = {"from_us": False, "author": (MARIA,), **changes}
    at = AT + timedelta(seconds=seconds)
    return Edit(edit_id or f"E{content}", at, content, **values)


def after(said: Message, *edits: Edit) -> tuple[Message, list[str | None]]:
    versions: list[Version] = []
    for one in edits:
        if (outcome := edited(said, one, versions)) is not None:
            said = outcome.message
            versions.extend(outcome.added)
    return said, [version.content for version in sorted(versions)]


class TestEdited:
    @pytest.mark.parametrize("order", list(permutations((0, 1, 2, 1))))
    def test_any_order_ends_in_the_same(self, order: tuple[int, ...]) -> None:
        edits = [edit("dois", 1), edit("três", 2, "B"), edit("quatro", 2, "C")]
        said, versions = after(message(), *(edits[n] for n in order))
        assert (said.content, said.edited_at) == ("quatro", AT + timedelta(seconds=2))
        assert versions == ["um", "dois", "três", "quatro"]
        assert said.version == 4

    def test_one_that_says_what_its_neighbour_says_is_no_version(self) -> None:
        assert after(message(), edit("um", 1))[1] == []
        assert after(message(), edit("dois", 1, "A"), edit("dois", 5, "B"))[1] == ["um", "dois"]
        back = after(message(), edit("dois", 1), edit("um", 2))
        assert (back[0].content, back[1]) == ("um", ["um", "dois", "um"])

    def test_one_before_the_message_comes_after_it_all_the_same(self) -> None:
        said, versions = after(message(), edit("dois", -60))
        assert (said.content, said.edited_at, versions) == ("dois", AT, ["um", "dois"])

    def test_one_told_again_at_another_time_is_known(self) -> None:
        edits = [edit("dois", 1, "A"), edit("três", 2, "B"), edit("dois", 3, "A")]
        assert after(message(), *edits)[0].content == "três"

    def test_what_is_deleted_is_edited_no_more(self) -> None:
        revoked = message(revoked_at=AT + timedelta(seconds=5))
        assert edited(revoked, edit("dois", 6), []) is None
        assert after(revoked, edit("dois", 4))[0].content == "dois"


class TestAuthor:
    @pytest.mark.parametrize(
        ("said", "change", "counts"),
        [
            (message(), edit("x", 1), True),
            (message(), edit("x", 1, from_us=True), False),
            (message(direction="outbound"), edit("x", 1), False),
            (message(direction="outbound"), edit("x", 1, from_us=True), True),
            (message(), edit("x", 1, author=(WhatsAppId("phone", "5511977770002"),)), False),
            (message(), edit("x", 1, author=(WhatsAppId("phone", "551188880001"),)), True),
            (message(), edit("x", 1, author=(WhatsAppId("lid", "1"), MARIA)), True),
        ],
    )
    def test_of_a_chat_of_two(self, said: Message, change: Edit, *, counts: bool) -> None:
        assert is_by_author(said, CHAT, change, uuid4()) is counts

    def test_of_a_group_is_who_spoke(self) -> None:
        shown = [{"kind": "lid", "value": "7"}]
        said = message(metadata={"is_group": True, "participant": shown})
        by = [WhatsAppId("lid", "7"), WhatsAppId("lid", "8"), MARIA]
        counts = [
            is_by_author(said, "120363000000000000@g.us", edit("x", 1, author=(who,)), uuid4())
            for who in by
        ]
        assert counts == [True, False, False]

    def test_may_be_known_by_another_id_of_the_same_contact(self) -> None:
        said, stranger = message(), edit("x", 1, author=(WhatsAppId("lid", "9"),))
        assert is_by_author(said, CHAT, stranger, said.contact_id)

"""What WAHA tells of groups, in our words."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.groups import subject_of
from crm_channels_waha.waha.meaning import GroupSeen, Kept, Listener, Translation
from crm_channels_waha.waha.translate import translate
from crm_fakes import examples
from shared_events import bounds

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "loja-exemplo")
GROUP = "120363000000000001@g.us"
ME = {"id": "5511900000001@c.us", "lid": "201122334455667@lid"}


def webhook(event: str, payload: dict[str, Any], **changes: Any) -> Translation:
    body = {"event": event, "session": "loja-exemplo", "me": ME, "payload": payload, **changes}
    return translate(body, LISTENER, RECEIVED_AT)


def people(found: Translation) -> list[tuple[dict[str, str], str | None, bool]]:
    assert isinstance(found, GroupSeen)
    return [
        ({i.kind: i.value for i in m.person.identities}, m.role, m.left)
        for m in found.report.members
    ]


class TestGroups:
    def test_the_example_tells_who_joined(self) -> None:
        example = examples.by_name("group_v2_participants_join_gows")
        found = translate(example.body, LISTENER, RECEIVED_AT)
        shown = {"phone": "5521977770002", "lid": "72318944542853"}
        assert people(found) == [(shown, "participant", False)]
        assert isinstance(found, GroupSeen)
        assert found.chat_id == found.report.chat_id == example.expected["chat_id"]
        assert found.report.told_at.timestamp() == example.body["payload"]["timestamp"]
        assert [i.kind for i in found.report.members[0].person.identities] == ["phone", "lid"]
        off = translate(example.body, replace(LISTENER, allow_groups=False), RECEIVED_AT)
        assert off == Kept("ignored", "groups are off")

    @pytest.mark.parametrize(
        ("type_", "role", "expected"),
        [
            ("join", "participant", ("participant", False)),
            ("leave", "left", (None, True)),
            ("leave", "participant", ("participant", True)),
            ("promote", "admin", ("admin", False)),
            ("demote", "left", (None, True)),
            ("join", "brand new", (None, False)),
        ],
    )
    def test_of_members_tell_what_they_are_now(
        self, type_: str, role: str, expected: tuple[str | None, bool]
    ) -> None:
        one = {"id": "777@lid", "pn": None, "role": role}
        payload = {
            "type": type_,
            "group": {"id": GROUP},
            "participants": [one, {"id": GROUP}, None],
        }
        ((shown, *found),) = people(webhook("group.v2.participants", payload))
        assert (shown, tuple(found)) == ({"lid": "777"}, expected)

    @pytest.mark.parametrize("event", ["group.v2.join", "group.v2.update"])
    def test_have_a_subject_cut_at_its_bound(self, event: str) -> None:
        group = {"id": GROUP, "subject": "ã" * 300, "participants": [{"id": "5511977770002@c.us"}]}
        found = webhook(event, {"group": group}, timestamp=1784800950000)
        assert people(found) == [({"phone": "5511977770002"}, None, False)]
        assert isinstance(found, GroupSeen)
        assert len(found.report.subject or "") == bounds.limit(bounds.Name)
        assert found.report.told_at.timestamp() == 1784800950

    @pytest.mark.parametrize(
        ("found", "subject"),
        [
            ({"JID": GROUP, "Name": "Turma", "Topic": "de 2026"}, "Turma"),
            ({"id": GROUP, "subject": "Turma", "desc": "de 2026"}, "Turma"),
            ({"id": {}, "groupMetadata": {"subject": "Turma"}, "name": "x"}, "Turma"),
            ({"id": {}, "groupMetadata": None, "name": "Turma"}, "Turma"),
            ({"Name": "ã" * 300}, "ã" * 255),
            ({"subject": "", "Name": 5}, None),
            ({}, None),
        ],
    )
    def test_that_are_looked_up_say_it_as_their_engine_does(
        self, found: dict[str, Any], subject: str | None
    ) -> None:
        assert subject_of(found) == subject

    def test_that_we_left_know_us_by_both_ids(self) -> None:
        found = webhook("group.v2.leave", {"group": {"id": GROUP}})
        ours = {"phone": "5511900000001", "lid": "201122334455667"}
        assert people(found) == [(ours, None, True)]

    def test_that_say_nothing_are_kept(self) -> None:
        nothing = Kept("ignored", "nothing new of a group")
        assert webhook("group.v2.update", {"group": {"id": GROUP, "invite": "x"}}) == nothing
        person = {"id": "5511977770002@c.us", "subject": "x"}
        assert webhook("group.v2.update", {"group": person}) == nothing
        assert webhook("group.v2.leave", {}) == Kept("ignored", "not a conversation")

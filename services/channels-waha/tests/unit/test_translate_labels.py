"""What WAHA tells of labels, in every shape seen."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import Kept, Labelled, LabelTold, Listener, Translation
from crm_channels_waha.waha.translate import translate
from crm_fakes import examples
from shared_events.channels.label import Label

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "loja-exemplo")
WITHOUT_GROUPS = Listener(UUID(int=1), "Loja", 1800, False, "http://waha", "loja-exemplo")
ME = {"id": "5511900000001@c.us", "lid": "201@lid"}
BLUE = {"id": "6", "name": "Novo cliente", "color": 1, "colorHex": "#64c4ff"}
PERSON = "5511988880001@c.us"


def webhook(
    payload: Any, event: str = "label.chat.added", listener: Listener = LISTENER
) -> Translation:
    body = {"event": event, "payload": payload, "me": ME, "timestamp": 1784800940000}
    return translate(body, listener, RECEIVED_AT)


@pytest.mark.parametrize(
    ("name", "labelled", "person"),
    [
        ("label_chat_added_noweb", True, ("phone", "5511988880001")),
        ("label_chat_deleted_lid_gows", False, ("lid", "123456789012345")),
    ],
)
def test_examples_of_chats_mean_what_they_expect(
    name: str, labelled: bool, person: tuple[str, str]
) -> None:
    example = examples.by_name(name)
    found = translate(example.body, LISTENER, RECEIVED_AT)
    assert isinstance(found, Labelled)
    assert found.chat_id == found.report.chat_id == example.expected["chat_id"]
    assert found.report.label == Label(id=example.expected["label_id"])
    assert found.report.labelled is labelled
    (shown,) = found.report.person.identities
    assert (shown.kind, shown.value) == person
    assert found.report.told_at == datetime.fromtimestamp(example.body["timestamp"] / 1000, UTC)


def test_example_of_a_label_means_what_it_expects() -> None:
    example = examples.by_name("label_upsert_gows")
    at = datetime.fromtimestamp(1784800930, UTC)
    label = Label(id="6", name=example.expected["text"], color=example.expected["color"])
    assert translate(example.body, LISTENER, RECEIVED_AT) == LabelTold(label, at)


@pytest.mark.parametrize("event", ["label.upsert", "label.deleted"])
def test_label_is_as_it_was_told_or_deleted(event: str) -> None:
    found = webhook({**BLUE, "id": 6}, event)
    assert isinstance(found, LabelTold)
    assert found.label == Label(id="6", name="Novo cliente", color="#64c4ff")
    assert found.deleted is (event == "label.deleted")


@pytest.mark.parametrize(
    ("payload", "label"),
    [
        ({"id": "6", "name": " \u200b ", "colorHex": 7}, Label(id="6")),
        ({"id": "6", "name": None, "colorHex": "red"}, Label(id="6")),
        ({"id": "6", "name": "n" * 300, "colorHex": "#64C4FF"}, ("n" * 255, "#64C4FF")),
    ],
)
def test_odd_labels_are_what_can_be_known_of_them(payload: Any, label: Any) -> None:
    found = webhook(payload, "label.upsert")
    assert isinstance(found, LabelTold)
    expected = label if isinstance(label, Label) else Label(id="6", name=label[0], color=label[1])
    assert found.label == expected


@pytest.mark.parametrize("payload", [None, {}, {"id": None}, {"id": ""}, {"id": "6" * 51}, []])
def test_label_without_an_id_is_kept(payload: Any) -> None:
    for event in ("label.upsert", "label.deleted"):
        assert webhook(payload, event) == Kept("unhandled", "label without id")
    told = {"labelId": payload and isinstance(payload, dict) and payload.get("id")}
    assert webhook({**told, "chatId": PERSON}) == Kept("unhandled", "label without id")


@pytest.mark.parametrize(
    ("chat", "chat_id", "kind"),
    [
        ("5511988880001@s.whatsapp.net", PERSON, "phone"),
        ("5511988880001:3@c.us", PERSON, "phone"),
        ("77@lid", "77@lid", "lid"),
        ({"user": "77", "server": "lid"}, "77@lid", "lid"),
        ("120363000000000001@g.us", "120363000000000001@g.us", "group"),
    ],
)
def test_chat_is_known_in_every_spelling(chat: Any, chat_id: str, kind: str) -> None:
    found = webhook({"labelId": "6", "chatId": chat, "label": BLUE})
    assert isinstance(found, Labelled)
    assert found.chat_id == chat_id
    assert found.report.person.identities[0].kind == kind
    assert found.report.label == Label(id="6", name="Novo cliente", color="#64c4ff")


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (None, "not a conversation"),
        ("status@broadcast", "not a conversation"),
        ("201@lid", "note to ourselves"),
        ("5511900000001@c.us", "note to ourselves"),
    ],
)
def test_what_is_nobodys_chat_is_ignored(chat: Any, reason: str) -> None:
    assert webhook({"labelId": "6", "chatId": chat}) == Kept("ignored", reason)


def test_groups_chat_is_ignored_where_groups_are_off() -> None:
    found = webhook({"labelId": "6", "chatId": "120363@g.us"}, listener=WITHOUT_GROUPS)
    assert found == Kept("ignored", "groups are off")

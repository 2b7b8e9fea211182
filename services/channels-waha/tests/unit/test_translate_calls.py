"""What WAHA tells of calls, in every shape seen."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import Called, Kept, Listener, Translation
from crm_channels_waha.waha.translate import translate
from crm_fakes import examples

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "loja-exemplo")
ME = {"id": "5511900000001@c.us", "lid": "201@lid"}


def webhook(payload: Any, event: str = "call.received") -> Translation:
    return translate({"event": event, "payload": payload, "me": ME}, LISTENER, RECEIVED_AT)


def test_example_means_what_it_expects() -> None:
    example = examples.by_name("call_received_gows")
    found = translate(example.body, LISTENER, RECEIVED_AT)
    assert isinstance(found, Called)
    assert (found.chat_id, found.report.call_id) == (
        example.expected["chat_id"],
        example.expected["call_id"],
    )
    assert [i.value for i in found.report.person.identities] == [example.expected["phone"]]
    assert (found.report.status, found.report.is_video) == ("received", False)
    assert found.report.happened_at == datetime.fromtimestamp(1784800900, UTC)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (None, "call without id"),
        ({"id": "", "from": "55119@c.us"}, "call without id"),
        ({"id": "C" * 256, "from": "55119@c.us"}, "call without id"),
        ({"id": "C1"}, "call of nobody"),
        ({"id": "C1", "from": "5511900000001:12@s.whatsapp.net"}, "call of nobody"),
        ({"id": "C1", "from": "201@lid"}, "call of nobody"),
    ],
)
def test_call_of_nobody_is_kept(payload: Any, reason: str) -> None:
    assert webhook(payload) == Kept("unhandled", reason)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"from": "55119@c.us", "isGroup": True}, "call in a group"),
        ({"from": "12036@g.us"}, "call in a group"),
        ({"from": "55119@c.us", "_data": {"CallCreator": "201@lid"}}, "call of ours"),
    ],
)
def test_call_that_did_not_come_in_is_ignored(payload: Any, reason: str) -> None:
    assert webhook({"id": "C1", **payload}) == Kept("ignored", reason)


def test_answered_on_our_phone_is_the_callers() -> None:
    raw = {"CallCreator": "77:3@lid", "CallCreatorAlt": "55119@s.whatsapp.net"}
    call = {"id": "C1", "from": "5511900000001:12@s.whatsapp.net", "_data": raw}
    found = webhook(call, "call.accepted")
    assert isinstance(found, Called)
    shown = [(i.kind, i.value) for i in found.report.person.identities]
    assert shown == [("phone", "55119"), ("lid", "77")]
    assert (found.chat_id, found.report.status) == ("77@lid", "accepted")


def test_noweb_knows_the_phone_of_who_hides() -> None:
    raw = {"callerPn": "55119@s.whatsapp.net"}
    found = webhook({"id": "C1", "from": "77@lid", "isVideo": True, "timestamp": 0, "_data": raw})
    assert isinstance(found, Called)
    assert [i.value for i in found.report.person.identities] == ["55119", "77"]
    assert (found.report.is_video, found.report.happened_at) == (True, RECEIVED_AT)

"""What may be sent, and how it is kept."""

from typing import Any
from uuid import uuid4

import pytest
from crm_messaging.messages.content import check, check_edit, details_of, text_of
from pydantic import ValidationError
from service_kit.errors import InvalidError
from shared_events import examples
from shared_events.messaging.message import Message, SendMessage

FILE = "https://example.com/a.bin"
PLACE = {"latitude": -90, "longitude": 180.0, "name": "x" * 255}
CARD = {"name": "x" * 255, "phones": ["+5511988880001", "5511988880001", "551932120001"]}
POLL = {"question": "q" * 255, "options": ["a" * 100, *"bcdefghijkl"], "multiple": True}


def request(**fields: Any) -> SendMessage:
    """A request to send, with these fields."""
    return SendMessage.model_validate({"contact_id": uuid4(), "channel_id": uuid4(), **fields})


def refusal(**fields: Any) -> tuple[str, str]:
    """Where a request is wrong, and how."""
    with pytest.raises(InvalidError) as raised:
        check(request(**fields))
    (error,) = raised.value.problem.errors
    return error.pointer, error.code


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "oi"},
        *({"content_type": kind, "media_url": FILE} for kind in ("voice", "sticker", "audio")),
        {"content_type": "image", "media_url": FILE, "content": "oi @551932120001"},
        {"content_type": "location", "location": PLACE, "metadata": {"contacts": 1}},
        {"content_type": "contact", "contact": CARD, "metadata": {"location": 1}},
        {"content_type": "poll", "poll": POLL},
    ],
)
def test_what_fits_together_passes(fields: dict[str, Any]) -> None:
    check(request(**fields))


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"content": " "}, "/content", "blank"),
        ({"content": "\u200b\u2060\ufeff"}, "/content", "blank"),
        ({"content": "\u3164 \u2800"}, "/content", "blank"),
        ({"content_type": "sticker"}, "/media_url", "missing"),
        ({"content_type": "location"}, "/location", "missing"),
        ({"content_type": "contact"}, "/contact", "missing"),
        ({"content_type": "poll"}, "/poll", "missing"),
        ({"content": "oi", "location": PLACE}, "/location", "not_allowed"),
        ({"content_type": "poll", "poll": POLL, "content": "x"}, "/content", "not_allowed"),
        ({"content_type": "voice", "media_url": FILE, "content": "x"}, "/content", "not_allowed"),
        (
            {"content_type": "contact", "contact": CARD, "media_url": FILE},
            "/media_url",
            "not_allowed",
        ),
        (
            {"content_type": "voice", "media_url": FILE, "mentions": ["551932120001"]},
            "/mentions",
            "not_allowed",
        ),
        (
            {"content_type": "poll", "poll": {"question": "?", "options": ["a", " a"]}},
            "/poll/options",
            "not_unique",
        ),
        (
            {"content": "@551932120001", "mentions": ["+551932120001", "+551932120002"]},
            "/mentions/1",
            "not_in_content",
        ),
        ({"content": "x", "metadata": {"mentions": []}}, "/metadata/mentions", "reserved_key"),
        (
            {"content_type": "location", "location": PLACE, "metadata": {"location": 1}},
            "/metadata/location",
            "reserved_key",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    fields: dict[str, Any], pointer: str, code: str
) -> None:
    assert refusal(**fields) == (pointer, code)


@pytest.mark.parametrize(
    "fields",
    [
        {"location": {"latitude": 90.1, "longitude": 0}},
        {"location": {"latitude": 0, "longitude": "NaN"}},
        {"location": {**PLACE, "name": "x" * 256}},
        {"contact": {"name": " ", "phones": ["5511988880001"]}},
        {"contact": {"name": "Zé", "phones": []}},
        {"contact": {"name": "Zé", "phones": ["11 98888"]}},
        {"poll": {"question": "?", "options": ["só uma"]}},
        {"poll": {"question": "?", "options": list("abcdefghijklm")}},
        {"poll": {"question": "?", "options": ["a", "b" * 101]}},
        {"mentions": ["5511988880001@g.us"]},
    ],
)
def test_what_whatsapp_does_not_take_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(**fields)


@pytest.mark.parametrize("text", [" ", "\u200b", "\u3164"])
def test_no_edit_leaves_nothing_to_be_seen(text: str) -> None:
    shown = Message.model_validate(examples.load("message.received")["data"]["message"])
    assert shown.content_type == "text"
    with pytest.raises(InvalidError):
        check_edit(shown, text)
    check_edit(shown.model_copy(update={"content_type": "image"}), text)  # a caption may go
    check_edit(shown, "👍")


def test_it_is_kept_as_what_comes_in_is_shown() -> None:
    place = request(content_type="location", location=PLACE)
    assert details_of(place) == {"location": {**PLACE, "address": None}}
    card = details_of(request(content_type="contact", contact=CARD))
    phones = ["5511988880001", "551932120001"]
    assert card == {"contacts": [{"name": "x" * 255, "phone": phones[0], "phones": phones}]}
    poll = request(content_type="poll", poll=POLL)
    assert (text_of(poll), details_of(poll)) == ("q" * 255, {"poll": POLL})
    mentions = request(content="@551932120001 @123456@lid", mentions=["551932120001", "123456@lid"])
    kept = details_of(mentions)
    assert kept == {"mentions": ["551932120001@c.us", "123456@lid"]}

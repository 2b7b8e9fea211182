"""Whether a message in WAHA's history is one of ours: by what engines hand on unchanged."""

from typing import Any

import pytest
from crm_channels_waha.waha.cards import write_card
from crm_channels_waha.waha.likeness import is_like
from crm_channels_waha.waha.sending import Outgoing

CHAT = "5511988880001@c.us"
PLACE = {"location": {"latitude": -22.90001, "longitude": -47.06, "name": "Praça"}}
CARD = {"contacts": [{"name": "Zé", "phone": "5511988880001"}]}
POLL = {"poll": {"question": "Cor?", "options": ["A", "B"]}}


def poll(name: str, *options: str) -> dict[str, Any]:
    """A poll as WEBJS keeps it."""
    kept = [{"name": option, "localId": n} for n, option in enumerate(options)]
    return {"_data": {"type": "poll_creation", "pollName": name, "pollOptions": kept}}


def place(latitude: str, longitude: str) -> dict[str, Any]:
    """A place as WEBJS keeps it: with a picture for its body, and numbers as text."""
    return {"body": "/9j/", "location": {"latitude": latitude, "longitude": longitude}}


@pytest.mark.parametrize(
    ("kind", "details", "candidate", "alike"),
    [
        ("location", PLACE, place("-22.90001", "-47.060001"), True),
        ("location", PLACE, place("-22.9002", "-47.06"), False),
        ("location", PLACE, {"body": "Praça"}, False),
        ("contact", CARD, {"vCards": [write_card("Outro nome", ["5511988880001"])]}, True),
        ("contact", CARD, {"vCards": [write_card("Zé", ["5511988880002"])]}, False),
        ("poll", POLL, poll("Cor?", "A", "B"), True),
        ("poll", POLL, poll("Cor?", "A", "C"), False),
        ("poll", POLL, {"body": "Cor?"}, False),
    ],
)
def test_by_content(
    kind: str, details: dict[str, Any], candidate: dict[str, Any], alike: bool
) -> None:
    assert is_like(Outgoing(CHAT, kind, None, details=details), candidate) is alike


@pytest.mark.parametrize(
    ("kind", "candidate", "alike"),
    [
        ("text", {"body": " oi "}, True),
        ("text", {"body": "oi", "hasMedia": True}, False),
        ("audio", {"body": "oi", "hasMedia": True}, True),
        ("audio", {"body": "oi"}, False),
        ("audio", {"hasMedia": True}, False),
    ],
)
def test_by_words(kind: str, candidate: dict[str, Any], alike: bool) -> None:
    assert is_like(Outgoing(CHAT, kind, "oi"), candidate) is alike

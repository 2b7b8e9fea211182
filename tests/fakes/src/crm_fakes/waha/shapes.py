"""Odd shapes that engines and their releases have for a text (docs/waha.md, "Odd shapes").

Each takes an ordinary payload of its engine, and leaves what somebody wrote where an engine was
seen to leave it. A message with a shape has it in its webhooks and in the history.
"""

from collections.abc import Callable
from dataclasses import dataclass

from crm_fakes.waha.messages import Engine
from crm_fakes.waha.raw import Json

WEBSOCKET: tuple[Engine, ...] = ("GOWS", "NOWEB")
BROWSER: tuple[Engine, ...] = ("WEBJS",)
ALL: tuple[Engine, ...] = ("GOWS", "NOWEB", "WEBJS")


@dataclass(frozen=True)
class Shape:
    """The engines that have a shape, and how it spoils a payload that says a text."""

    engines: tuple[Engine, ...]
    spoil: Callable[[Json, str], object]


def play(name: str, payload: Json, text: str) -> Json:
    """The payload in a shape."""
    SHAPES[name].spoil(payload, text)
    return payload


def check(name: str | None, engine: Engine) -> None:
    """Raises ValueError for a shape that this engine does not have."""
    if name is not None and name not in of(engine):
        raise ValueError(f"{engine} has no shape {name}; it has {', '.join(of(engine))}")


def of(engine: Engine) -> list[str]:
    """The names of an engine's shapes."""
    return [name for name, shape in SHAPES.items() if engine in shape.engines]


def _raw_alone(build: Callable[[str], Json]) -> Callable[[Json, str], None]:
    """WAHA's own fields say nothing: WhatsApp's message alone does."""

    def spoil(payload: Json, text: str) -> None:
        key = "Message" if "Message" in payload["_data"] else "message"
        payload["_data"][key] = build(text)
        payload["body"] = None

    return spoil


def _webjs(kind: str, build: Callable[[str], Json]) -> Callable[[Json, str], None]:
    """WEBJS's kind and fields say it, and WAHA's own do not."""

    def spoil(payload: Json, text: str) -> None:
        payload["_data"] |= {"type": kind, "body": None, **build(text)}
        payload["body"] = None

    return spoil


def _fields(**fields: object) -> Callable[[Json, str], None]:
    return lambda payload, _: payload.update(fields)


def _time(write: Callable[[int], object]) -> Callable[[Json, str], None]:
    return lambda payload, _: payload.update(timestamp=write(payload["timestamp"]))


def _low_high(seconds: int) -> Json:
    return {"low": seconds, "high": 0, "unsigned": True}


def _id_object(payload: Json, _: str) -> None:
    from_me, chat, bare, *author = payload["id"].split("_")
    parts = {"fromMe": from_me == "true", "remote": chat, "id": bare}
    payload["id"] = parts | ({"participant": author[0]} if author else {})


def _device_part(payload: Json, _: str) -> None:
    payload["id"] = payload["id"].replace("@c.us", ":12@c.us")


def _hosted(payload: Json, _: str) -> None:
    payload["id"] = payload["id"].replace("@c.us", "@hosted")


def _in_wrapper(wrapper: str) -> Callable[[Json, str], None]:
    return _raw_alone(lambda text: {wrapper: {"message": {"imageMessage": {"caption": text}}}})


SHAPES: dict[str, Shape] = {
    "caption_in_raw": Shape(WEBSOCKET, _raw_alone(lambda t: {"imageMessage": {"caption": t}})),
    "ephemeral": Shape(WEBSOCKET, _in_wrapper("ephemeralMessage")),
    "view_once": Shape(WEBSOCKET, _in_wrapper("viewOnceMessageV2")),
    "album_child": Shape(WEBSOCKET, _in_wrapper("associatedChildMessage")),
    "document_with_caption": Shape(
        WEBSOCKET,
        _raw_alone(
            lambda text: {
                "documentWithCaptionMessage": {"message": {"documentMessage": {"caption": text}}}
            }
        ),
    ),
    "keys_first": Shape(
        WEBSOCKET,
        _raw_alone(
            lambda t: {
                "senderKeyDistributionMessage": {"groupId": "x"},
                "messageContextInfo": {},
                "extendedTextMessage": {"text": t},
            }
        ),
    ),
    "question_response": Shape(
        WEBSOCKET, _raw_alone(lambda t: {"questionResponseMessage": {"text": t}})
    ),
    "rich_response": Shape(
        WEBSOCKET,
        _raw_alone(lambda t: {"richResponseMessage": {"submessages": [{"messageText": t}]}}),
    ),
    "newsletter_invite": Shape(
        WEBSOCKET,
        _raw_alone(lambda t: {"newsletterFollowerInviteMessageV2": {"newsletterName": t}}),
    ),
    "scheduled_call": Shape(
        WEBSOCKET, _raw_alone(lambda t: {"scheduledCallCreationMessage": {"title": t}})
    ),
    "body_in_raw": Shape(BROWSER, _webjs("chat", lambda t: {"body": t})),
    "buttons_response": Shape(BROWSER, _webjs("buttons_response", lambda t: {"body": t})),
    "interactive": Shape(BROWSER, _webjs("interactive", lambda t: {"body": t})),
    "image_caption": Shape(BROWSER, _webjs("image", lambda t: {"caption": t, "body": "/9j/4A"})),
    "group_invite": Shape(BROWSER, _webjs("groups_v4_invite", lambda t: {"inviteGrpName": t})),
    "event_creation": Shape(BROWSER, _webjs("event_creation", lambda t: {"eventName": t})),
    "payment_note": Shape(BROWSER, _webjs("payment", lambda t: {"paymentNoteMsg": {"body": t}})),
    "id_object": Shape(BROWSER, _id_object),
    "id_in_raw": Shape(ALL, lambda payload, _: payload.pop("id")),
    "device_part": Shape(ALL, _device_part),
    "hosted": Shape(ALL, _hosted),
    "nothing_but_id_and_body": Shape(
        ALL, _fields(**{"from": None, "fromMe": None, "timestamp": None, "hasMedia": None})
    ),
    "time_in_milliseconds": Shape(ALL, _time(lambda seconds: seconds * 1000)),
    "time_as_text": Shape(ALL, _time(str)),
    "time_in_two_halves": Shape(ALL, _time(_low_high)),
    "nul": Shape(ALL, lambda payload, _: payload.update(pushName="x\0")),
}

"""What a row of WAHA's history shows to have happened (docs/waha.md, "History"). Pure.

A row is a message as it is by now. It is taken apart into the events that WAHA would have told
live, so one translation serves both.
"""

from collections.abc import Iterator
from typing import NamedTuple

from crm_channels_waha.waha.context import moment
from crm_channels_waha.waha.ids import message_id_of
from crm_channels_waha.waha.reading import Json, items, mapping, number, text

_MEMBERS = {"receiptTimestamp": 2, "readTimestamp": 3, "playedTimestamp": 4}
"""Where NOWEB has when a member of a group got, read and played a message, and as which ack."""
_FAILED, _DELIVERED = -1, 2


class Happening(NamedTuple):
    """An event by WAHA's name, its payload, and its time, as WAHA has it: of old, the message's."""

    event: str
    payload: Json
    at: object


def happenings(row: Json) -> Iterator[Happening]:
    """What happened to a message after it was said: receipts, an edit, reactions."""
    act = message_id_of(row)
    if act is None:
        return
    raw, at = mapping(row.get("_data")), row.get("timestamp")
    if row.get("fromMe", act.from_me) is True:
        yield from _receipts(row, raw, at, in_group=(act.chat or "").endswith("@g.us"))
    if _is_edited(raw):
        yield Happening("message.edited", {**row, "editedMessageId": act.bare}, at)
    for said in items(raw.get("reactions")):
        key, emoji = mapping(said, "key"), mapping(said).get("text")
        told = {
            "timestamp": mapping(said).get("senderTimestampMs"),
            "reaction": {"text": emoji, "messageId": act.bare},
            "_data": {"key": key},
        }
        yield Happening("message.reaction", told, at)


def _receipts(row: Json, raw: Json, at: object, *, in_group: bool) -> Iterator[Happening]:
    """How far a message of ours got; of a group's `ack` nobody knows whose it is."""
    level = number(row.get("ack"))
    if not in_group and level is not None and (level == _FAILED or level >= _DELIVERED):
        yield Happening("message.ack", row, at)
    for one in items(raw.get("userReceipt")) if in_group else ():
        for name, ack in _MEMBERS.items():
            when = mapping(one).get(name)
            if moment(when):
                read = {"id": row.get("id"), "participant": mapping(one).get("userJid")}
                yield Happening("message.ack.group", {**read, "fromMe": True, "ack": ack}, when)


def _is_edited(raw: Json) -> bool:
    """Whether the text is not the first: WEBJS says when it was edited, NOWEB wraps the newest."""
    if moment(raw.get("latestEditSenderTimestampMs")):
        return text(raw.get("type")) != "revoked"
    return bool(mapping(raw, "message", "editedMessage", "message"))

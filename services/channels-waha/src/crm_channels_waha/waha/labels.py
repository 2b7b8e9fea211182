"""What WAHA tells of labels of WhatsApp Business (docs/waha.md, "Labels")."""

import re
from datetime import datetime

from shared_events import bounds
from shared_events.channels.label import ChannelChatLabelled, Label
from shared_events.identity import visible

from crm_channels_waha.waha.context import chat_of, ours, person_of, told_at
from crm_channels_waha.waha.meaning import Kept, Labelled, LabelTold, Listener
from crm_channels_waha.waha.reading import Json, mapping, number, text

_LONGEST_ID, _LONGEST_NAME = bounds.limit(bounds.LabelId), bounds.limit(bounds.Name)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_NO_ID = Kept("unhandled", "label without id")


def read_label(envelope: Json, listener: Listener, received_at: datetime) -> LabelTold | Kept:
    """`label.upsert` and `label.deleted`: a label as it is by now, or was."""
    del listener
    label = label_of(mapping(envelope.get("payload")))
    if label is None:
        return _NO_ID
    deleted = envelope.get("event") == "label.deleted"
    return LabelTold(label, told_at(envelope, received_at), deleted)


def read_chat_label(envelope: Json, listener: Listener, received_at: datetime) -> Labelled | Kept:
    """`label.chat.added` and `label.chat.deleted`.

    The label itself is null where WAHA does not know it, so that its id is all there is.
    """
    payload = mapping(envelope.get("payload"))
    known = label_of(mapping(payload.get("label")))
    label_id = _id(payload.get("labelId")) or (known and known.id)
    if label_id is None:
        return _NO_ID
    chat = chat_of(payload.get("chatId"), listener)
    if isinstance(chat, Kept):
        return chat
    if chat.key in ours(envelope):
        return Kept("ignored", "note to ourselves")
    report = ChannelChatLabelled(
        channel=listener.channel,
        chat_id=chat.chat_id,
        person=person_of(envelope, chat, None, from_me=True),
        label=known.model_copy(update={"id": label_id}) if known else Label(id=label_id),
        labelled=envelope.get("event") == "label.chat.added",
        told_at=told_at(envelope, received_at),
    )
    return Labelled(report, chat.chat_id)


def label_of(shown: Json) -> Label | None:
    """A label as WAHA shows it; None without an id."""
    label_id = _id(shown.get("id"))
    if label_id is None:
        return None
    name, color = visible(text(shown.get("name"))), text(shown.get("colorHex"))
    return Label(
        id=label_id,
        name=name[:_LONGEST_NAME] or None,
        color=color if color and _COLOR.fullmatch(color) else None,
    )


def _id(told: object) -> str | None:
    """Digits, as text or as a number."""
    found = number(told)
    label_id = text(told) or (str(int(found)) if found is not None else None)
    return label_id if label_id and len(label_id) <= _LONGEST_ID else None

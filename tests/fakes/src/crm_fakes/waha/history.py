"""Messages as WAHA's history shows them: with what became of them, as far as an engine keeps that.

All keep how far a message of ours got. NOWEB keeps who reacted, who of a group read it, and the
newest text under the time of the edit; it drops what was deleted. WEBJS shows the newest text with
the time of the edit, and the place of what was deleted. GOWS keeps nothing more (docs/waha.md,
"History").
"""

from crm_fakes.waha import engines
from crm_fakes.waha.messages import DEVICE, PLAYED, READ, Engine, Message, raw_jid
from crm_fakes.waha.raw import Json

_RECEIPTS = {DEVICE: "receiptTimestamp", READ: "readTimestamp", PLAYED: "playedTimestamp"}


def said_at(message: Message, engine: Engine) -> int:
    """When an engine believes a message was said, in seconds: NOWEB takes an edit for it."""
    if engine == "NOWEB" and message.edited_ms:
        return message.edited_ms // 1000
    return message.timestamp


def row(message: Message, engine: Engine, me: str) -> Json | None:
    """The WAMessage of a list; None where the engine keeps no such message any more."""
    shown = engines.payload(message, engine, me)
    if engine == "NOWEB":
        return None if message.revoked else _noweb(message, shown)
    return _webjs(message, shown) if engine == "WEBJS" else shown


def _noweb(message: Message, shown: Json) -> Json:
    raw = shown["_data"]
    if message.edited_ms:
        at = said_at(message, "NOWEB")
        edited = {"editedMessage": {"message": raw["message"]}}
        raw |= {"message": edited, "messageTimestamp": at}
        shown["timestamp"] = at
    if message.reacted:
        raw["reactions"] = [_reaction(act) for act in message.reacted.values()]
    if message.receipts:
        raw["userReceipt"] = [
            {"userJid": raw_jid(who), **{_RECEIPTS[level]: at for level, at in levels.items()}}
            for who, levels in message.receipts.items()
        ]
    return shown


def _reaction(act: Message) -> Json:
    key: Json = {"remoteJid": raw_jid(act.chat), "fromMe": act.from_me, "id": act.bare_id}
    if act.participant:
        key["participant"] = raw_jid(act.participant)
    return {"key": key, "text": act.text or "", "senderTimestampMs": str(act.timestamp * 1000)}


def _webjs(message: Message, shown: Json) -> Json:
    raw = shown["_data"]
    raw |= {
        "latestEditSenderTimestampMs": message.edited_ms,
        "hasReaction": bool(message.reactions),
    }
    if message.revoked:
        raw |= {"type": "revoked", "body": ""}
        shown["body"] = ""
    return shown

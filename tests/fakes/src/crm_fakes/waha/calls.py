"""Calls as each engine tells of them (docs/waha.md, "Calls")."""

import time
from typing import Any, Literal

from crm_fakes.waha.messages import Engine, raw_jid

CallKind = Literal["received", "accepted", "rejected"]
TOLD: dict[Engine, frozenset[CallKind]] = {
    "GOWS": frozenset(("received", "accepted", "rejected")),
    "NOWEB": frozenset(("received", "accepted", "rejected")),
    "WEBJS": frozenset(("received",)),  # and those rejected by the API
}
_NOWEB = {"received": "offer", "accepted": "accept", "rejected": "reject"}


def payload(
    engine: Engine,
    kind: CallKind,
    call_id: str,
    caller: str,
    phone: str | None,
    *,
    ours: str | None = None,
    video: bool = False,
) -> dict[str, Any]:
    """The call of somebody, a chat id, with the phone behind a hidden one.

    `ours` is our chat id where our own phone did it: GOWS names who did, and who began.
    """
    actor = ours if ours and engine == "GOWS" else caller
    alternative = f"{phone}@s.whatsapp.net" if phone and caller.endswith("@lid") else ""
    raw: dict[str, Any] = {"id": call_id, "from": raw_jid(caller), "status": _NOWEB[kind]}
    if engine == "GOWS":
        raw = {
            "From": raw_jid(actor),
            "CallCreator": raw_jid(caller),
            "CallCreatorAlt": alternative,
            "CallID": call_id,
            "GroupJID": "",
        }
    elif engine == "NOWEB" and alternative:
        raw["callerPn"] = alternative
    return {
        "id": call_id,
        "from": actor,
        "timestamp": time.time(),
        "isVideo": video,
        "isGroup": False,
        "_data": raw,
    }

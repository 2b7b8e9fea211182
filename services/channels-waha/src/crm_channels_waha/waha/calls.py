"""What WAHA tells of calls (docs/waha.md, "Calls")."""

from datetime import datetime

from shared_events import bounds
from shared_events.channels.traffic import ChannelCallReported, Person
from shared_events.identity import WhatsAppId
from shared_events.messaging.call import CallStatus

from crm_channels_waha.waha.context import identities_of, ours, told_at
from crm_channels_waha.waha.ids import conversation, person_id
from crm_channels_waha.waha.meaning import Called, Kept, Listener
from crm_channels_waha.waha.reading import Json, mapping, text

_LONGEST = bounds.limit(bounds.ExternalId)
_STATUSES: dict[str, CallStatus] = {
    "call.received": "received",
    "call.accepted": "accepted",
    "call.rejected": "rejected",
}


def read_call(envelope: Json, listener: Listener, received_at: datetime) -> Called | Kept:
    """`call.received`, `.accepted` and `.rejected`: from whom, and when.

    What our own phone does to a call comes from ourselves on some engines: it is the other side's.
    Groups' calls ring everywhere, and are nobody's; those we make are none that came in.
    """
    payload = mapping(envelope.get("payload"))
    raw = mapping(payload.get("_data"))
    call_id = text(payload.get("id"))
    if call_id is None or len(call_id) > _LONGEST:
        return Kept("unhandled", "call without id")
    shown = conversation(payload.get("from"))
    if payload.get("isGroup") is True or (shown is not None and shown.kind == "group"):
        return Kept("ignored", "call in a group")
    we = ours(envelope)
    creator = person_id(raw.get("CallCreator"))
    if creator is not None and creator.key in we:
        return Kept("ignored", "call of ours")
    caller = next((who for who in (shown, creator) if who and who.key not in we), None)
    if caller is None:
        return Kept("unhandled", "call of nobody")
    report = ChannelCallReported(
        channel=listener.channel,
        chat_id=caller.chat_id,
        call_id=call_id,
        status=_STATUSES[str(envelope.get("event"))],
        is_video=payload.get("isVideo") is True,
        person=Person(identities=identities_of(caller, _others(raw, caller, creator))),
        happened_at=told_at(envelope, received_at, payload.get("timestamp")),
    )
    return Called(report, caller.chat_id)


def _others(raw: Json, caller: WhatsAppId, creator: WhatsAppId | None) -> list[WhatsAppId]:
    """The other ids of who calls: GOWS has them of whoever began the call."""
    of_creator = [raw.get("CallCreatorAlt")] if creator == caller else []
    return [who for one in (*of_creator, raw.get("callerPn")) if (who := person_id(one))]

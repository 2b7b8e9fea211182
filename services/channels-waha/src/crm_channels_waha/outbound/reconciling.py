"""Finding out whether a message of unknown outcome was sent (docs/waha.md, "Sending")."""

from dataclasses import dataclass

from service_kit.database import Database

from crm_channels_waha.outbound import ledger
from crm_channels_waha.outbound.models import OutboundMessage
from crm_channels_waha.waha.client import Waha, WahaAwayError, WahaRejectedError
from crm_channels_waha.waha.sending import Outgoing

ACCEPTED_WITHOUT_ID = "accepted without id"
"""WAHA took the message but named no id: if nothing shows it, it counts as sent all the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """It was sent."""

    external_id: str | None


@dataclass(frozen=True, slots=True)
class Lost:
    """It is proven not to have been sent: it may be sent again."""


@dataclass(frozen=True, slots=True)
class Undecidable:
    """WAHA cannot tell, now or later."""


async def look_for(
    database: Database, tenant_id: str, row: OutboundMessage, waha: Waha
) -> Found | Lost | Undecidable:
    """Ask WAHA by id, or search the chat. Raises WahaError while it cannot answer.

    Only an id we chose ourselves, missing from a history that is kept, proves a loss.
    """
    try:
        if row.target_id is not None:
            return await _by_effect(row, waha)
        if row.external_id is not None:
            return await _by_id(row, row.external_id, waha)
        return await _by_text(database, tenant_id, row, waha)
    except WahaRejectedError as error:
        if error.waits_for_session:
            raise
        return _without_trace(row)


async def _by_effect(row: OutboundMessage, waha: Waha) -> Found | Undecidable:
    """Of changes, only an edit can be looked up: the message says it, or may say it yet."""
    if row.content_type == "edit" and row.target_external_id is not None:
        said = await waha.text_of(row.sent_to, row.target_external_id)
        if said is not None and said.strip() == (row.content or "").strip():
            return Found(None)
    return Undecidable()


async def _by_id(row: OutboundMessage, external_id: str, waha: Waha) -> Found | Lost | Undecidable:
    if await waha.has_message(row.sent_to, external_id):
        return Found(external_id)
    session = await waha.describe()
    if session is None or not session.keeps_history:
        return _without_trace(row)
    if session.status != "WORKING":
        raise WahaAwayError("the session is not working")
    return Lost()


async def _by_text(
    database: Database, tenant_id: str, row: OutboundMessage, waha: Waha
) -> Found | Undecidable:
    since = (row.sending_at or row.created_at).timestamp()
    like = Outgoing(row.sent_to, row.content_type, row.content, details=row.details)
    candidates = await waha.find_sent(like, since)
    async with database.tenant(tenant_id, read_only=True) as tx:
        taken = await ledger.known_ids(tx, row.channel_id, candidates)
    free = [external_id for external_id in candidates if external_id not in taken]
    return Found(free[0]) if free else _without_trace(row)


def _without_trace(row: OutboundMessage) -> Found | Undecidable:
    return Found(None) if row.reason == ACCEPTED_WITHOUT_ID else Undecidable()

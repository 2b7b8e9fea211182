"""Asking WAHA for a change to a message that is on WhatsApp (docs/waha.md, "Changes")."""

from typing import cast

from service_kit.database import Database
from shared_events.messaging.message import ChangeKind

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.outbound import ledger
from crm_channels_waha.outbound.models import OutboundMessage
from crm_channels_waha.waha.answers import Accepted, Rejected, Verdict
from crm_channels_waha.waha.changing import Change
from crm_channels_waha.waha.client import Waha


async def ask(
    database: Database, tenant_id: str, row: OutboundMessage, channel: ChannelRow, waha: Waha
) -> Verdict | None:
    """Ask for a change, written down before it leaves; None when it is not ours to ask any more."""
    async with database.tenant(tenant_id) as tx:
        target = await ledger.find(tx, row.target_id)
        if row.content_type == "revoke" and target is not None and ledger.was_never_sent(target):
            return Accepted(None)  # there is nothing to delete
        external_id = row.target_external_id or (target.external_id if target else None)
        if external_id is None:
            return Rejected("whatsapp_id_unknown", "WhatsApp's id of the message is not known.")
        if not await ledger.mark_sending(tx, row.message_id, None):
            return None
        address = target.address if target else None
        named = await ledger.name_target(tx, row, external_id, address)
    return await waha.change(_change(named, external_id, channel))


def _change(row: OutboundMessage, external_id: str, channel: ChannelRow) -> Change:
    participant = row.target_participant
    if row.target_from_us and row.chat_id.endswith("@g.us") and channel.phone:
        participant = f"{channel.phone}@c.us"
    return Change(
        kind=cast(ChangeKind, row.content_type),
        chat_id=row.sent_to,
        external_id=external_id,
        from_us=bool(row.target_from_us),
        participant=participant,
        content=row.content or "",
        link_preview=channel.link_previews,
    )

"""Sending a file of ours: WAHA fetches it by a link, as it fetches any other."""

from dataclasses import replace
from uuid import UUID

from service_kit.database import Transaction
from service_kit.media_links import MediaLinks

from crm_channels_waha.media import repository
from crm_channels_waha.waha.answers import NotSent, Rejected
from crm_channels_waha.waha.sending import Outgoing


async def with_file(
    tx: Transaction, message: Outgoing, media_id: UUID | None, links: MediaLinks
) -> Outgoing | Rejected | NotSent:
    """The message with a link to its file, if it names one of the tenant's.

    One that is still to come is waited for; Rejected for one that will not, or that is nobody's.
    """
    if media_id is None:
        return message
    file = await repository.find(tx, media_id)
    if file is None or file.state == "failed":
        return Rejected("media_not_found", "There is no such file.")
    if file.state == "pending":
        return NotSent("Its file is still being fetched.")
    return replace(
        message,
        media_url=links.link(file.tenant_id, file.id),
        media_mime_type=message.media_mime_type or file.mime_type,
        media_filename=file.filename,
    )

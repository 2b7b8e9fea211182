"""What is asked about labels."""

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from shared_events.channels.label import Label, ListLabels
from shared_events.requests import Page
from sqlalchemy import select

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.labels.models import LabelRow
from crm_channels_waha.labels.repository import LABELS
from crm_channels_waha.labels.telling import shown

_C = LABELS.table.c
_BY_ID = Order("labels", [(_C.label_id, str)], tenant=_C.tenant_id)


async def list_labels(tx: Transaction, request: ListLabels, call: Call) -> Page[Label]:
    """A page of those that were not deleted; NotFoundError when there is no such channel."""
    del call
    await channels.find(tx, request.channel_id)
    query = select(LabelRow).where(_C.channel_id == request.channel_id, _C.deleted.is_(False))
    return await _BY_ID.page(tx, query, request, LABELS, shown)

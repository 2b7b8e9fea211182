"""Answers to requests about what became of messages."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, StringConstraints
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from shared_events.messaging.message import ListMessageVersions, MessageVersion
from shared_events.requests import Page
from sqlalchemy import select

from crm_messaging.messages import repository as messages
from crm_messaging.messages.changes import models
from crm_messaging.messages.changes.repository import VERSIONS

_C = VERSIONS.table.c
_OLDEST_FIRST = Order(
    "message_versions",
    [
        (_C.since, AwareDatetime),
        (_C.edit_id, Annotated[str, StringConstraints(max_length=255)]),
        (_C.message_id, UUID),
    ],
    tenant=_C.tenant_id,
)


async def list_versions(
    tx: Transaction, request: ListMessageVersions, call: Call
) -> Page[MessageVersion]:
    """What a message said, oldest first; NotFoundError when there is no such message."""
    del call
    await messages.get(tx, request.message_id)
    query = select(models.MessageVersion).where(_C.message_id == request.message_id)
    return await _OLDEST_FIRST.page(tx, query, request, VERSIONS, _version)


def _version(row: models.MessageVersion) -> MessageVersion:
    return MessageVersion(content=row.content, since=row.since)

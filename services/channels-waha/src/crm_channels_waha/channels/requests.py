"""Requests that only need our own tables."""

from typing import Any
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.egress import Egress
from service_kit.errors import InvalidError, PreconditionFailedError
from service_kit.ids import uuid7
from service_kit.paging import Order
from shared_events.channels.channel import (
    Channel,
    ChannelCreated,
    ChannelDeleted,
    ChannelStatusChanged,
    ChannelUpdated,
    CreateChannel,
    DeleteChannel,
    GetChannel,
    GetChannels,
    ListChannels,
    UpdateChannel,
    WahaSettings,
)
from shared_events.requests import Nothing, Page
from sqlalchemy import select

from crm_channels_waha.channels import repository, rules
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS
from crm_channels_waha.channels.waking import wake
from crm_channels_waha.hearing import repository as hearing

DEFAULT_SESSION_TIMEOUT_SECONDS = 30 * 60

_C = CHANNELS.table.c
_EXISTING = select(ChannelRow).where(_C.deleted_at.is_(None))
_NEWEST_FIRST = Order("channels", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
"""Ids are in order of creation."""


class ChannelRequests:
    """Create, read, change and delete channels.

    The webhook's HMAC key is in the reply to the creation alone; repeating that request with its
    idempotency key shows the stored reply, and the key with it, again.
    """

    def __init__(self, connections: Connections, egress: Egress, *, is_production: bool) -> None:
        self._connections = connections
        self._egress = egress
        self._is_production = is_production

    async def create(self, tx: Transaction, request: CreateChannel, call: Call) -> Channel:
        """Connect a number; it still has to be started and paired."""
        del call
        timeout = self._timeout(request) or DEFAULT_SESSION_TIMEOUT_SECONDS
        row = await repository.insert(
            tx,
            ChannelRow(
                id=uuid7(),
                tenant_id=tx.tenant_id,
                name=request.name,
                type=request.type,
                status="created",
                waha_base_url=rules.base_url(request.waha.base_url, self._egress),
                waha_session=request.waha.session,
                waha_api_key_encrypted=self._sealed(request.waha),
                session_timeout_seconds=timeout,
                allow_groups=request.allow_groups,
                send_seen=request.send_seen,
                link_previews=request.link_previews,
                simulate_typing=request.simulate_typing,
                reject_calls=request.reject_calls,
                quiet_hours=rules.quiet_hours(request.quiet_hours),
                warm_up=rules.warm_up(request.warm_up),
            ),
        )
        tx.outbox.add(ChannelCreated(channel=self._connections.resource(row)), row.id)
        return self._connections.resource(row, with_key=True)

    async def get(self, tx: Transaction, request: GetChannel, call: Call) -> Channel:
        """One channel."""
        del call
        return self._connections.resource(await repository.find(tx, request.channel_id))

    async def get_many(self, tx: Transaction, request: GetChannels, call: Call) -> Page[Channel]:
        """Several channels, in no order."""
        del call
        rows = await CHANNELS.find(tx, _EXISTING.where(_C.id.in_(request.ids)))
        return Page(data=[self._connections.resource(row) for row in rows])

    async def list(self, tx: Transaction, request: ListChannels, call: Call) -> Page[Channel]:
        """A page of channels, newest first."""
        del call
        return await _NEWEST_FIRST.page(
            tx, _EXISTING, request, CHANNELS, self._connections.resource
        )

    async def update(self, tx: Transaction, request: UpdateChannel, call: Call) -> Channel:
        """Change what the request names. Another WAHA session begins as a new one would.

        What waits in the ledger is looked at anew: it may have waited for what is no more.
        """
        row = await repository.find(tx, request.channel_id, lock=True)
        PreconditionFailedError.check(call.expected_version, row.version)
        changes: dict[str, Any] = {
            "name": request.name,
            "session_timeout_seconds": self._timeout(request),
            "allow_groups": request.allow_groups,
            "send_seen": request.send_seen,
            "link_previews": request.link_previews,
            "simulate_typing": request.simulate_typing,
            "reject_calls": request.reject_calls,
        }
        if request.waha is not None:
            changes |= {
                "waha_base_url": rules.base_url(request.waha.base_url, self._egress),
                "waha_session": request.waha.session,
                "waha_api_key_encrypted": self._sealed(request.waha),
            }
        named = {name: value for name, value in changes.items() if value is not None}
        if "quiet_hours" in request.model_fields_set:
            named["quiet_hours"] = rules.quiet_hours(request.quiet_hours)
        if "warm_up" in request.model_fields_set:
            named["warm_up"] = rules.warm_up(request.warm_up)
        written = await repository.update(tx, row.model_copy(update=named))
        if (written.waha_base_url, written.waha_session) != (row.waha_base_url, row.waha_session):
            written = await repository.begin_again(tx, request.channel_id)
            await hearing.forget(tx, (written.tenant_id, written.id))
            if row.status != "created":
                tx.outbox.add(
                    ChannelStatusChanged(
                        channel=self._connections.resource(written),
                        previous_status=row.status,
                        waha_status="",
                    ),
                    row.id,
                )
        await wake(tx, [request.channel_id])
        channel = self._connections.resource(written)
        tx.outbox.add(ChannelUpdated(channel=channel), channel.id)
        return channel

    async def delete(self, tx: Transaction, request: DeleteChannel, call: Call) -> Nothing:
        """Disconnect a number. Its WAHA session is left as it is: it may serve others."""
        row = await repository.find(tx, request.channel_id, lock=True)
        PreconditionFailedError.check(call.expected_version, row.version)
        await repository.delete(tx, request.channel_id)
        await wake(tx, [request.channel_id])
        tx.outbox.add(ChannelDeleted(channel_id=request.channel_id), request.channel_id)
        return Nothing()

    def _sealed(self, settings: WahaSettings) -> str:
        return self._connections.seal.seal_text(rules.api_key(settings.api_key))

    def _timeout(self, request: CreateChannel | UpdateChannel) -> int | None:
        """The session timeout in seconds, if the request names one."""
        if request.session_timeout_seconds is not None:
            if self._is_production:
                raise InvalidError.field(
                    "session_timeout_seconds",
                    "not_in_production",
                    "Give session_timeout_minutes; seconds are for development and tests.",
                )
            return request.session_timeout_seconds
        if request.session_timeout_minutes is not None:
            return round(request.session_timeout_minutes * 60)
        return None

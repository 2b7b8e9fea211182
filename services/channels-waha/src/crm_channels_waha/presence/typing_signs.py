"""Showing people that somebody types (docs/waha.md, "Seen and typing")."""

import time
from uuid import UUID

import structlog
from service_kit.calls import Call
from service_kit.database import Database
from shared_events.channels.presence import ShowTyping, TypingState
from shared_events.requests import Nothing

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.waha.client import WahaError

log = structlog.get_logger()

_Sign = tuple[UUID, str, TypingState]


class TypingSigns:
    """Shows each sign of a chat once in `interval` seconds; what comes more often is dropped."""

    def __init__(self, database: Database, connections: Connections, interval: float) -> None:
        self._database = database
        self._connections = connections
        self._interval = interval
        self._shown_at: dict[_Sign, float] = {}

    async def show(self, request: ShowTyping, call: Call) -> Nothing:
        """Show it now or never: WAHA that does not take it is no error. NotFoundError."""
        tenant_id = call.principal.tenant_id
        async with self._database.tenant(tenant_id, read_only=True) as tx:
            channel = await channels.find(tx, request.channel_id)
        if not self._is_due((channel.id, request.chat_id, request.state)):
            return Nothing()
        try:
            waha = self._connections.waha(channel)
            await waha.show_typing(request.chat_id, typing=request.state == "typing")
        except WahaError as error:
            log.debug("typing_not_shown", channel_id=str(channel.id), error=repr(error))
        return Nothing()

    def _is_due(self, sign: _Sign) -> bool:
        now = time.monotonic()
        while self._shown_at:  # in the order of time: a sign is put in when it is not there
            oldest = next(iter(self._shown_at))
            if now - self._shown_at[oldest] < self._interval:
                break
            del self._shown_at[oldest]
        return self._shown_at.setdefault(sign, now) == now

"""Looking up phones behind hidden ids, best effort and never on the message path."""

import asyncio

import structlog
from service_kit.database import Database

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.inbound import repository
from crm_channels_waha.inbound.models import LidRef
from crm_channels_waha.inbound.repository import LidSeen
from crm_channels_waha.waha.client import WahaError

log = structlog.get_logger()

_BATCH = 20
_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 60.0
_MAX_LOOKUPS = 6  # the last about a day after the first


class LidLookup:
    """Asks WAHA for the phones of hidden ids nobody told us (docs/waha.md, "Hidden ids")."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def run(self) -> None:
        """Look up what is due, for ever; a full batch is followed by the next at once."""
        while True:
            if await self.look_up() < _BATCH:
                await asyncio.sleep(_POLL_SECONDS)

    async def look_up(self) -> int:
        """Look up one batch; returns how many hidden ids were asked for."""
        async with self._database.system("lids") as tx:
            due = await repository.claim_lookups(
                tx, limit=_BATCH, pause_seconds=_PAUSE_SECONDS, max_lookups=_MAX_LOOKUPS
            )
        for ref in due:
            await self._look_up(ref)
        return len(due)

    async def _look_up(self, ref: LidRef) -> None:
        async with self._database.tenant(ref.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, (ref.tenant_id, ref.channel_id))
        if channel is None:
            return
        try:
            phone = await self._connections.waha(channel).phone_of_lid(ref.lid)
        except WahaError as error:
            log.debug("lid_lookup_failed", channel_id=str(channel.id), error=repr(error))
            return
        if phone is not None:
            async with self._database.tenant(ref.tenant_id) as tx:
                seen = LidSeen(ref.tenant_id, ref.lid, phone, channel.id)
                await repository.learn_lids(tx, [seen])

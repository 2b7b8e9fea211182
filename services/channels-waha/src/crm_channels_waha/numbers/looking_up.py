"""Asking WAHA whether numbers are on WhatsApp, once for each (docs/waha.md, "Numbers")."""

from uuid import UUID

import structlog
from service_kit.database import Database
from shared_events.identity import parse_whatsapp_id

from crm_channels_waha import metrics
from crm_channels_waha.numbers import repository
from crm_channels_waha.numbers.freshness import Freshness
from crm_channels_waha.numbers.models import NumberCheckRow
from crm_channels_waha.waha.client import Waha, WahaError

log = structlog.get_logger()


class Numbers:
    """What is known of numbers, and otherwise WAHA; no transaction is open while it is asked."""

    def __init__(self, database: Database, freshness: Freshness) -> None:
        self._database = database
        self.freshness = freshness

    async def address(
        self, tenant_id: str, channel_id: UUID, chat_id: str, waha: Waha
    ) -> str | None:
        """The chat to write to in place of one that was typed; None where nobody is there.

        What WAHA cannot say now holds nothing up: the chat stays as it was typed.
        """
        who = parse_whatsapp_id(chat_id)
        if who is None or who.kind != "phone":
            return chat_id
        async with self._database.tenant(tenant_id, read_only=True) as tx:
            known = await repository.known(tx, channel_id, [who.value], self.freshness)
        if who.value in known:
            return known[who.value].chat_id
        try:
            return (await self.look_up(tenant_id, channel_id, who.value, waha)).chat_id
        except WahaError as error:
            log.info("number_not_checked", channel_id=str(channel_id), error=str(error))
            return chat_id

    async def look_up(
        self, tenant_id: str, channel_id: UUID, phone: str, waha: Waha
    ) -> NumberCheckRow:
        """What WAHA says now of a phone's digits; kept. Raises WahaError."""
        try:
            chat_id = await waha.find_number(phone)
        except WahaError:
            metrics.NUMBER_CHECKS.labels("unanswered").inc()
            raise
        metrics.NUMBER_CHECKS.labels("missing" if chat_id is None else "there").inc()
        async with self._database.tenant(tenant_id) as tx:
            return await repository.note(tx, channel_id, phone, chat_id)

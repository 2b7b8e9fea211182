"""Answering whether numbers are on WhatsApp."""

from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import ThrottledError
from shared_events.channels.number import CheckNumbers, NumberCheck, NumberChecks

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.asking import asking_waha
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.numbers import repository
from crm_channels_waha.numbers.looking_up import Numbers

_OFFLINE = "channel_not_connected", "The channel is not connected."


class NumberRequests:
    """At most `per_day` numbers of a channel are asked of WAHA by request in a day (UTC).

    Who could ask of any number could find out who is on WhatsApp, and the channel's own number
    would pay for it. What is known already counts towards nothing.
    """

    def __init__(
        self,
        database: Database,
        connections: Connections,
        numbers: Numbers,
        *,
        per_day: int,
        timeout: float,
    ) -> None:
        self._database = database
        self._connections = connections
        self._numbers = numbers
        self._per_day = per_day
        self._timeout = timeout

    async def check(self, request: CheckNumbers, call: Call) -> NumberChecks:
        """What is known of each, or WAHA says. What it has said is known if asked again.

        Raises NotFoundError for the channel, ThrottledError, UnavailableError while WAHA does not
        answer, and ConflictError: `channel_not_connected` and what `asking_waha` raises.
        """
        tenant_id, channel_id = call.principal.tenant_id, request.channel_id
        phones = [phone.removeprefix("+") for phone in request.phones]
        async with self._database.tenant(tenant_id) as tx:
            channel = await channels.find(tx, channel_id)
            found = await repository.known(tx, channel_id, phones, self._numbers.freshness)
            wanted = [phone for phone in dict.fromkeys(phones) if phone not in found]
            if wanted and not await repository.take(tx, channel_id, len(wanted), self._per_day):
                raise ThrottledError(
                    "too_many_number_checks",
                    f"Of a channel {self._per_day} numbers are looked up in a day.",
                    limit=self._per_day,
                    retry_after_seconds=await repository.seconds_of_today(tx),
                )
        try:
            async with asking_waha(self._timeout, waiting=_OFFLINE):
                waha = self._connections.waha(channel)
                for phone in wanted:
                    found[phone] = await self._numbers.look_up(tenant_id, channel_id, phone, waha)
        finally:
            await self._give_back(tenant_id, channel_id, [p for p in wanted if p not in found])
        return NumberChecks(
            numbers=[
                NumberCheck(
                    phone=f"+{phone}",
                    exists=found[phone].chat_id is not None,
                    checked_at=found[phone].checked_at,
                )
                for phone in phones
            ]
        )

    async def _give_back(self, tenant_id: str, channel_id: UUID, unasked: list[str]) -> None:
        if unasked:
            async with self._database.tenant(tenant_id) as tx:
                await repository.give_back(tx, channel_id, len(unasked))

"""Asks every service where messages are, all at once, and makes one journey of the answers."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_kit.errors import DeadlineError, UnavailableError
from service_kit.request_client import RequestClient
from shared_events.channels.journey import ListChannelLegs
from shared_events.journeys import Leg, Legs
from shared_events.messaging.message import GetMessage, ListContactMessages, Message
from shared_events.requests import Page, Reply, Request
from shared_events.services import CHANNELS, MESSAGING, WEBHOOKS
from shared_events.webhooks.journey import ListWebhookLegs

from crm_gateway.journeys.reading import journey
from crm_gateway.journeys.schemas import GetMessageJourney, ListContactJourneys, MessageJourney
from crm_gateway.problems.errors import of_problem
from crm_gateway.rest.own import OwnCall, OwnRequests

LEGS: Mapping[str, type[ListChannelLegs] | type[ListWebhookLegs]] = {
    CHANNELS.name: ListChannelLegs,
    WEBHOOKS.name: ListWebhookLegs,
}
"""Who is asked beside messaging, and what."""
_AWAY = ("unavailable", "timeout", "internal")


class Journeys:
    """Answers where messages are. Who does not answer is left out and named, not waited for."""

    def __init__(self, bus: RequestClient) -> None:
        self._bus = bus

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about journeys."""
        own.answer_asking(GetMessageJourney, self.of_message)
        own.answer_asking(ListContactJourneys, self.of_contact)

    async def of_message(
        self, asked: GetMessageJourney, call: OwnCall, trace: Mapping[str, str]
    ) -> MessageJourney:
        """Where one message is.

        Raises what messaging refuses; while it is away, only if nobody else knows the message, or
        if it is for messaging to say whether who asks may see it.
        """
        message_id = asked.message_id
        told, (legs, missing) = await asyncio.gather(
            self._ask(GetMessage(message_id=message_id), call, trace),
            self._legs([message_id], call, trace),
        )
        found = legs[message_id]
        if told.problem is None:
            message = Message.model_validate(told.value)
            return journey(message_id, message, found, missing)
        if call.principal.own_only or told.problem.kind not in _AWAY or not found:
            raise of_problem(told.problem)
        return journey(message_id, None, found, [MESSAGING.name, *missing])

    async def of_contact(
        self, asked: ListContactJourneys, call: OwnCall, trace: Mapping[str, str]
    ) -> Page[MessageJourney]:
        """Where a contact's newest messages are; raises what messaging refuses."""
        given = asked.model_dump(exclude_unset=True)
        newest = ListContactMessages(**{"limit": asked.limit, **given, "sort": "-sent_at"})
        told = await self._ask(newest, call, trace)
        if told.problem is not None:
            raise of_problem(told.problem)
        page = Page[Message].model_validate(told.value)
        ids = [message.id for message in page.data]
        legs, missing = await self._legs(ids, call, trace)
        return Page[MessageJourney](
            data=[journey(one.id, one, legs[one.id], missing) for one in page.data],
            has_more=page.has_more,
            next_cursor=page.next_cursor,
        )

    async def _legs(
        self, message_ids: list[UUID], call: OwnCall, trace: Mapping[str, str]
    ) -> tuple[Mapping[UUID, dict[str, Leg]], list[str]]:
        """What the other services know of each message, and who of them did not answer."""
        found: defaultdict[UUID, dict[str, Leg]] = defaultdict(dict)
        if not message_ids:
            return found, []
        replies = await asyncio.gather(
            *(self._ask(legs(message_ids=message_ids), call, trace) for legs in LEGS.values())
        )
        answers = dict(zip(LEGS, replies, strict=True))
        for service, reply in answers.items():
            if reply.problem is None:
                for leg in Legs.model_validate(reply.value).data:
                    found[leg.message_id][service] = leg
        return found, [service for service, reply in answers.items() if reply.problem is not None]

    async def _ask(self, request: Request[Any], call: OwnCall, trace: Mapping[str, str]) -> Reply:
        """The answer; that there is none is a problem as well."""
        try:
            return await self._bus.call(
                request,
                principal=call.principal,
                correlation_id=call.correlation_id,
                trace=trace,
            )
        except (UnavailableError, DeadlineError) as error:
            return Reply(problem=error.problem)

"""Typing: messaging knows where a conversation is held, channels-waha shows it there."""

from collections.abc import Mapping
from typing import Any

from service_kit.request_client import RequestClient
from shared_events.channels.presence import ShowTyping
from shared_events.messaging.conversation import Chat, GetChat
from shared_events.requests import Nothing, Request

from crm_gateway.presence.schemas import ShowTypingIn
from crm_gateway.problems.errors import of_problem
from crm_gateway.rest.own import OwnCall, OwnRequests


class Presence:
    """Asks the one and then the other; nothing of it is kept."""

    def __init__(self, bus: RequestClient) -> None:
        self._bus = bus

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about presence."""
        own.answer_asking(ShowTypingIn, self.show_typing)

    async def show_typing(
        self, asked: ShowTypingIn, call: OwnCall, trace: Mapping[str, str]
    ) -> Nothing:
        """Show it; raises what either refuses, and UnavailableError or DeadlineError."""
        found = await self._ask(GetChat(conversation_id=asked.conversation_id), call, trace)
        chat = Chat.model_validate(found)
        await self._ask(
            ShowTyping(channel_id=chat.channel_id, chat_id=chat.chat_id, state=asked.state),
            call,
            trace,
        )
        return Nothing()

    async def _ask(
        self, request: Request[Any], call: OwnCall, trace: Mapping[str, str]
    ) -> dict[str, Any] | None:
        reply = await self._bus.call(
            request, principal=call.principal, correlation_id=call.correlation_id, trace=trace
        )
        if reply.problem is not None:
            raise of_problem(reply.problem)
        return reply.value

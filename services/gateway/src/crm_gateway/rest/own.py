"""Requests about the gateway's own data, carried out here as a service would carry them out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from service_kit.calls import Call, RequestHandler
from service_kit.database import Database, is_infrastructure
from service_kit.errors import UnavailableError
from service_kit.handling import carry_out, reply_with
from shared_events.requests import Principal, Reply, Request

from crm_gateway.auth.service import Visitor

PublicHandler = Callable[[Any, Visitor], Awaitable[BaseModel]]
"""Carries out a request of somebody unknown; it opens its own transactions."""

PlainHandler = Callable[[Any], Awaitable[BaseModel]]
"""Carries out a request that needs no data of anybody."""


class OwnRequests:
    """Answers requests whose key begins with `gateway.`."""

    def __init__(
        self,
        database: Database,
        *,
        tenant: Mapping[type[Request[Any]], RequestHandler[Any, Any]],
        public: Mapping[type[Request[Any]], PublicHandler],
        plain: Mapping[type[Request[Any]], PlainHandler],
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._public = public
        self._plain = plain

    async def call(
        self,
        request: Request[Any],
        *,
        principal: Principal,
        correlation_id: str,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
        trace: Mapping[str, str] | None = None,
    ) -> Reply:
        """Carry out a request for a known caller, as `RequestClient.call` does elsewhere."""
        if plain := self._plain.get(type(request)):
            return reply_with(await plain(request))
        try:
            return await carry_out(
                self._database,
                self._tenant[type(request)],
                request,
                Call(principal, correlation_id, expected_version),
                # Secrets are masked in this form, so their hashes are not kept beside the reply.
                body=request.model_dump(mode="json", exclude_unset=True) if idempotency_key else {},
                idempotency_key=idempotency_key,
                trace=trace or {},
            )
        except Exception as error:
            raise _judged(error) from error

    async def call_public(self, request: Request[Any], visitor: Visitor) -> Reply:
        """Carry out a request of somebody who has not said who they are."""
        try:
            return reply_with(await self._public[type(request)](request, visitor))
        except Exception as error:
            raise _judged(error) from error


def _judged(error: Exception) -> Exception:
    if is_infrastructure(error):
        return UnavailableError("database_unavailable", "Try again shortly.")
    return error

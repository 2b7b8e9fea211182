"""Requests about the gateway's own data, carried out here as a service would carry them out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from service_kit.calls import Call, RequestHandler
from service_kit.cause import Cause
from service_kit.database import Database, is_infrastructure
from service_kit.errors import UnavailableError
from service_kit.idempotency import find_reply, store_reply
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
            return _reply(await plain(request))
        call = Call(principal, correlation_id, expected_version)
        cause = Cause(correlation_id, None, trace or {})
        read_only = request.kind == "query"
        key = None if read_only else idempotency_key
        # Secrets are masked in this form, so their hashes are not kept beside the reply.
        body = request.model_dump(mode="json", exclude_unset=True) if key else {}
        try:
            async with self._database.tenant(
                principal.tenant_id, cause=cause, read_only=read_only
            ) as tx:
                if key is not None:
                    stored = await find_reply(tx, call, key, request.key, body)
                    if stored is not None:
                        return stored
                reply = _reply(await self._tenant[type(request)](tx, request, call))
                if key is not None:
                    await store_reply(tx, call, key, request.key, body, reply)
                return reply
        except Exception as error:
            raise _judged(error) from error

    async def call_public(self, request: Request[Any], visitor: Visitor) -> Reply:
        """Carry out a request of somebody who has not said who they are."""
        try:
            return _reply(await self._public[type(request)](request, visitor))
        except Exception as error:
            raise _judged(error) from error


def _reply(value: BaseModel) -> Reply:
    return Reply(value=value.model_dump(mode="json"))


def _judged(error: Exception) -> Exception:
    if is_infrastructure(error):
        return UnavailableError("database_unavailable", "Try again shortly.")
    return error

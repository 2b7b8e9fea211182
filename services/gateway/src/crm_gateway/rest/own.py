"""Requests about the gateway's own data, carried out here as a service would carry them out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, cast
from uuid import UUID

from pydantic import BaseModel
from service_kit.calls import Asked, Call, RequestType, Value
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.errors import ForbiddenError
from service_kit.handling import carry_out, carry_out_elsewhere, reply_with
from service_kit.sealing import Seal
from service_kit.settings import ConfigurationError
from shared_events.requests import Principal, Reply, Request

from crm_gateway.auth.repeats import Repeats
from crm_gateway.mail.languages import Language
from crm_gateway.problems.errors import judged
from crm_gateway.rest.table import PUBLIC, Row

AnyRequest = type[Request[Any]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has not said who they are: the address, the request's cause, and the language
    their browser asks for, if we speak it."""

    address: str
    cause: Cause
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class OwnCall(Call):
    """A call, the address it came from, and the language its caller asks for, if we speak it."""

    address: str = ""
    language: Language | None = None

    @classmethod
    def of_token(cls, visitor: Visitor, tenant_id: str, user_id: UUID) -> "OwnCall":
        """Who holds a token that was mailed acts for its user, for the audit log at least."""
        principal = Principal(tenant_id=tenant_id, user_id=user_id)
        return cls(principal, visitor.cause.correlation_id or "", address=visitor.address)

    def person(self) -> UUID:
        """Who asks; raises ForbiddenError for an API key, where somebody must have logged in."""
        if self.user_id is None:
            raise ForbiddenError("person_required", "Log in for this; an API key is not enough.")
        return self.user_id


OwnHandler = Callable[[Transaction, Asked, OwnCall], Awaitable[Value]]
"""Carries out a request in the transaction of the caller's tenant."""

Prepare = Callable[[Asked, OwnCall], Awaitable[OwnHandler[Asked, Value]]]
"""Does what takes long before there is a transaction, and gives what is left to do in it."""

PublicHandler = Callable[[Asked, Visitor], Awaitable[Value]]
"""Carries out a request of somebody unknown; it opens its own transactions."""

AskingHandler = Callable[[Asked, OwnCall, Mapping[str, str]], Awaitable[Value]]
"""Carries out a request by asking services, without data of ours; last comes the trace."""

PlainHandler = Callable[[Asked], Awaitable[Value]]
"""Carries out a request that needs no data of anybody."""


@dataclass(frozen=True, slots=True)
class _Answer(Generic[Asked, Value]):
    prepare: Prepare[Asked, Value]
    shows_secret: bool


def is_own(request: Request[Any] | AnyRequest) -> bool:
    """Whether this is about the gateway's own data."""
    return request.key.startswith("gateway.")


class OwnRequests:
    """Answers requests whose key begins with `gateway.`; features add what they answer."""

    def __init__(self, database: Database, seal: Seal, repeats: Repeats) -> None:
        """`seal` closes replies that show a secret, where they are kept to be shown again;
        `repeats` knows the idempotency keys of strangers."""
        self._database = database
        self._seal = seal
        self._repeats = repeats
        self._tenant: dict[AnyRequest, _Answer[Any, Any]] = {}
        self._public: dict[AnyRequest, Callable[[Any, Visitor], Awaitable[BaseModel]]] = {}
        self._asking: dict[AnyRequest, AskingHandler[Any, Any]] = {}
        self._plain: dict[AnyRequest, Callable[[Any], Awaitable[BaseModel]]] = {}

    def answer(
        self,
        request: RequestType[Asked, Value],
        handler: OwnHandler[Asked, Value],
        *,
        shows_secret: bool = False,
    ) -> None:
        """Answer this request, in a transaction for the caller's tenant."""

        async def prepare(asked: Asked, call: OwnCall) -> OwnHandler[Asked, Value]:
            del asked, call
            return handler

        self.answer_prepared(request, prepare, shows_secret=shows_secret)

    def answer_prepared(
        self,
        request: RequestType[Asked, Value],
        prepare: Prepare[Asked, Value],
        *,
        shows_secret: bool = False,
    ) -> None:
        """As above, after a preparation that holds no connection."""
        self._tenant[cast(AnyRequest, request)] = _Answer(prepare, shows_secret)

    def answer_public(
        self, request: RequestType[Asked, Value], handler: PublicHandler[Asked, Value]
    ) -> None:
        """Answer this request of whoever asks."""
        self._public[cast(AnyRequest, request)] = handler

    def answer_asking(
        self, request: RequestType[Asked, Value], handler: AskingHandler[Asked, Value]
    ) -> None:
        """Answer this request of a known caller by what services answer."""
        self._asking[cast(AnyRequest, request)] = handler

    def answer_plain(
        self, request: RequestType[Asked, Value], handler: PlainHandler[Asked, Value]
    ) -> None:
        """Answer this request, alike for everybody who may ask it."""
        self._plain[cast(AnyRequest, request)] = handler

    def check(self, rows: Sequence[Row]) -> None:
        """Refuse a table with a row of ours that nobody answers.

        Raises ConfigurationError, so that the process does not start.
        """
        problems = []
        for row in rows:
            known = {**self._tenant, **self._asking, **self._plain}
            answered = self._public if row.permission == PUBLIC else known
            if is_own(row.request) and row.request not in answered:
                problems.append(f"{row.method} {row.path}: nobody answers {row.request.key}")
        if problems:
            raise ConfigurationError(problems)

    async def call(
        self,
        request: Request[Any],
        call: OwnCall,
        idempotency_key: str | None,
        trace: Mapping[str, str],
    ) -> Reply:
        """Carry out a request for a known caller, as `RequestClient.call` does elsewhere."""
        if plain := self._plain.get(type(request)):
            return reply_with(await plain(request))
        if asking := self._asking.get(type(request)):
            return await self._ask(asking, request, call, idempotency_key, trace)
        answer = self._tenant[type(request)]

        try:
            handler = await answer.prepare(request, call)

            async def handle(tx: Transaction, asked: Request[Any], _: Call) -> BaseModel:
                value: BaseModel = await handler(tx, asked, call)
                return value

            return await carry_out(
                self._database,
                handle,
                request,
                call,
                # Secrets are masked in this form, so their hashes are not kept beside the reply.
                body=request.model_dump(mode="json", exclude_unset=True) if idempotency_key else {},
                idempotency_key=idempotency_key,
                trace=trace,
                seal=self._seal if answer.shows_secret else None,
            )
        except Exception as error:
            raise judged(error) from error

    async def _ask(
        self,
        asking: AskingHandler[Any, Any],
        request: Request[Any],
        call: OwnCall,
        idempotency_key: str | None,
        trace: Mapping[str, str],
    ) -> Reply:
        """What services answer; our database is only needed to know a key again."""
        if idempotency_key is None:
            return reply_with(await asking(request, call, trace))

        async def handle(asked: Request[Any], _: Call) -> BaseModel:
            value: BaseModel = await asking(asked, call, trace)
            return value

        try:
            return await carry_out_elsewhere(
                self._database,
                handle,
                request,
                call,
                body=request.model_dump(mode="json", exclude_unset=True),
                idempotency_key=idempotency_key,
                call_id=None,
            )
        except Exception as error:
            raise judged(error) from error

    async def call_public(
        self,
        request: Request[Any],
        visitor: Visitor,
        idempotency_key: str | None = None,
        keyed_by: str | None = None,
    ) -> Reply:
        """Carry out a request of somebody who has not said who they are.

        `keyed_by` is the field that says whose idempotency key it is.
        """
        handle = partial(self._public[type(request)], request, visitor)
        try:
            if idempotency_key is None or keyed_by is None:
                return reply_with(await handle())
            return await self._repeats.answer(
                request,
                handle,
                address=visitor.address,
                correlation_id=visitor.cause.correlation_id or "",
                keyed_by=keyed_by,
                key=idempotency_key,
            )
        except Exception as error:
            raise judged(error) from error

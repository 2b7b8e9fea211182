"""Who asks: by the bearer token or the API key that a request carries."""

from collections.abc import Collection, Iterator
from ipaddress import ip_address, ip_network
from typing import Protocol

from service_kit.errors import ForbiddenError, MalformedError, UnauthenticatedError
from shared_events.requests import Principal
from starlette.requests import HTTPConnection

from crm_gateway.access.lacks import Lack, refusal
from crm_gateway.access.standings import Person, Standings
from crm_gateway.access.tokens import AccessTokens
from crm_gateway.mail.languages import Language, preferred


class Callers(Protocol):
    """Tells who asks."""

    async def principal(self, http: HTTPConnection, *, despite: Collection[Lack]) -> Principal:
        """Who asks; raises UnauthenticatedError when it is nobody we know, and ForbiddenError for
        who lacks something other than `despite`."""
        ...

    async def alone(self, principal: Principal) -> Principal:
        """The same, saying whether the company has no other admin."""
        ...


class KnownCallers:
    """Tells it by what our own database says of tokens and keys."""

    def __init__(self, tokens: AccessTokens, standings: Standings, *, proof_required: bool) -> None:
        """`proof_required`: who has not proved their e-mail lacks something."""
        self._tokens = tokens
        self._standings = standings
        self._proof_required = proof_required

    async def principal(self, http: HTTPConnection, *, despite: Collection[Lack]) -> Principal:
        """Who asks.

        Raises UnauthenticatedError for nobody we know, ForbiddenError for a person who lacks
        something other than `despite` and for a key used from where it may not be, MalformedError
        for two who ask at once and UnavailableError.
        """
        key = http.headers.get("x-api-key")
        if key is None:
            return await self._of_token(bearer_token(http), despite)
        if "authorization" in http.headers:
            raise MalformedError("two_credentials", "Send a bearer token or X-Api-Key, not both.")
        return await self._of_key(key, address_of(http))

    async def alone(self, principal: Principal) -> Principal:
        """The same, saying whether the company has no other active admin: UnavailableError."""
        if principal.user_id is None:
            return principal
        sole = await self._standings.is_sole_admin(principal.tenant_id, principal.user_id)
        return principal.model_copy(update={"sole_admin": sole})

    async def _of_token(self, token: str, despite: Collection[Lack]) -> Principal:
        proof = self._tokens.read(token)
        found = await self._standings.person(proof.tenant_id, proof.user_id)
        if found is None or found.token_version != proof.version:
            raise UnauthenticatedError("token_revoked", "The login has ended; log in again.")
        for lack in self._lacks(found):
            if lack not in despite:
                raise refusal(lack)
        return Principal(
            tenant_id=proof.tenant_id,
            user_id=proof.user_id,
            roles=(found.role,),
            permissions=found.permissions,
            own_only=found.own_only,
        )

    def _lacks(self, person: Person) -> Iterator[Lack]:
        if self._proof_required and not person.email_verified:
            yield "email_unverified"
        if person.two_factor_required and not person.two_factor:
            yield "two_factor_required_by_company"

    async def _of_key(self, key: str, address: str) -> Principal:
        found = await self._standings.api_key(key)
        if found is None:
            raise UnauthenticatedError("invalid_api_key", "The API key is not valid.")
        if found.allowed_ips and not _within(address, found.allowed_ips):
            raise ForbiddenError("address_not_allowed", "The API key may not be used from here.")
        return Principal(
            tenant_id=found.tenant_id, api_key_id=found.id, permissions=tuple(found.scopes)
        )


def address_of(http: HTTPConnection) -> str:
    """The address a request comes from, as trusted proxies say it; empty when it has none."""
    return http.client.host if http.client else ""


def language_of(http: HTTPConnection) -> Language | None:
    """The language a request asks for, if we speak it."""
    return preferred(http.headers.get("accept-language", ""))


def bearer_token(http: HTTPConnection) -> str:
    """The access token a request carries; raises UnauthenticatedError."""
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError(
            "token_missing", "Send Authorization: Bearer <token>, or X-Api-Key."
        )
    return token.strip()


def _within(address: str, networks: list[str]) -> bool:
    try:
        given = ip_address(address)
    except ValueError:
        return False
    given = getattr(given, "ipv4_mapped", None) or given
    return any(given in ip_network(network) for network in networks)

"""The keys by which a company's own systems come in."""

import secrets
from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ForbiddenError, InvalidError
from service_kit.ids import uuid7
from shared_events.requests import Nothing, Page

from crm_gateway.access.roles import covers
from crm_gateway.access.standings import Standings
from crm_gateway.api_keys import repository
from crm_gateway.api_keys.models import ApiKeyRow
from crm_gateway.api_keys.schemas import (
    ApiKey,
    CreateApiKey,
    DeleteApiKey,
    GetApiKey,
    ListApiKeys,
    NewApiKey,
    RotateApiKey,
)
from crm_gateway.audit.repository import record
from crm_gateway.rest.own import OwnCall, OwnRequests


class ApiKeys:
    """Answers the API key routes, each in the transaction of its tenant.

    Only people make, rotate and delete keys: a key that leaked must not be able to outlive its
    own revocation.
    """

    def __init__(self, standings: Standings) -> None:
        self._standings = standings

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about API keys."""
        own.answer(CreateApiKey, self.create, shows_secret=True)
        own.answer(RotateApiKey, self.rotate, shows_secret=True)
        own.answer(DeleteApiKey, self.delete)
        own.answer(GetApiKey, self.get)
        own.answer(ListApiKeys, self.list)

    async def create(self, tx: Transaction, request: CreateApiKey, call: OwnCall) -> NewApiKey:
        """A key that may do what is asked for; nobody gives what they may not do themselves."""
        person = call.person()
        granted = call.principal.permissions
        scopes = list(dict.fromkeys(granted if request.scopes is None else request.scopes))
        if not covers(granted, scopes):
            raise ForbiddenError("scope_exceeds_caller", "You may not do all of what it asks for.")
        if request.expires_at is not None and request.expires_at <= datetime.now(UTC):
            raise InvalidError.field("expires_at", "in_the_past", "It would have expired already.")
        key, prefix = _new_key()
        row = ApiKeyRow(
            id=uuid7(),
            tenant_id=tx.tenant_id,
            name=request.name,
            prefix=prefix,
            key_hash=repository.key_hash(key),
            scopes=scopes,
            allowed_ips=list(dict.fromkeys(request.allowed_ips)),
            expires_at=request.expires_at,
            created_by=person,
        )
        made = await repository.insert(tx, row)
        await record(tx, call, "api_key.create", made.id, after=made.model_dump(mode="json"))
        return NewApiKey(**made.model_dump(), key=key)

    async def rotate(self, tx: Transaction, request: RotateApiKey, call: OwnCall) -> NewApiKey:
        """Another key in the place of this one."""
        call.person()
        row = await repository.lock(tx, request.api_key_id, call.expected_version)
        if not covers(call.principal.permissions, row.scopes):
            raise ForbiddenError("scope_exceeds_caller", "You may not do all of what it may.")
        key, prefix = _new_key()
        made = await repository.replace(tx, row, prefix=prefix, hashed=repository.key_hash(key))
        await self._standings.api_key_changed(tx, row.key_hash)
        before, after = repository.shown(row).model_dump(mode="json"), made.model_dump(mode="json")
        await record(tx, call, "api_key.rotate", made.id, before=before, after=after)
        return NewApiKey(**made.model_dump(), key=key)

    async def delete(self, tx: Transaction, request: DeleteApiKey, call: OwnCall) -> Nothing:
        """Revoke a key."""
        call.person()
        row = await repository.lock(tx, request.api_key_id, call.expected_version)
        await repository.delete(tx, row)
        before = repository.shown(row).model_dump(mode="json")
        await record(tx, call, "api_key.delete", row.id, before=before)
        await self._standings.api_key_changed(tx, row.key_hash)
        return Nothing()

    async def get(self, tx: Transaction, request: GetApiKey, call: Call) -> ApiKey:
        """One key."""
        del call
        return await repository.get(tx, request.api_key_id)

    async def list(self, tx: Transaction, request: ListApiKeys, call: Call) -> Page[ApiKey]:
        """A page of keys."""
        del call
        return await repository.page(tx, request)


def _new_key() -> tuple[str, str]:
    """A key with 256 random bits, and its beginning."""
    prefix = f"crm_{secrets.token_hex(4)}"
    return f"{prefix}_{secrets.token_urlsafe(32)}", prefix

"""How people and API keys stand right now, without asking the database at every request.

What was read is believed for `REMEMBERED_SECONDS` at most. Whoever changes it says so in the
transaction of the change: this process knows with the commit, the others by NOTIFY a moment later.
Only while a process has lost the connection it hears by does the time matter.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.database import Database, Transaction
from service_kit.rows import Shape
from shared_events.gateway.company import AgentsSee

from crm_gateway.access.remembered import Remembered
from crm_gateway.access.roles import permissions_of
from crm_gateway.api_keys import repository as api_keys
from crm_gateway.api_keys.models import ApiKeyRow
from crm_gateway.problems.errors import judged

REMEMBERED_SECONDS = 10.0
_MOST = 10_000
_CHANGED = "access_changed"
"""NOTIFY channel; the payload names whose standing has changed."""
_LOOK_SECONDS = 5.0

_PERSON = """
SELECT coalesce(r.name, a.role) AS role, r.permissions AS granted, a.active,
    u.id AS account_id, u.token_version + a.token_version AS token_version,
    u.email_verified_at IS NOT NULL AS email_verified, p.require_two_factor AS two_factor_required,
    f.confirmed_at IS NOT NULL AS two_factor,
    coalesce(r.sees, CASE a.role WHEN 'agent' THEN p.agents_see ELSE 'all' END) AS sees
FROM agents a JOIN users u ON u.id = a.user_id JOIN projects p ON p.tenant_id = a.tenant_id
LEFT JOIN authenticators f ON f.user_id = a.user_id
LEFT JOIN roles r ON r.tenant_id = a.tenant_id AND r.id = a.role_id AND a.role = 'agent'
WHERE a.tenant_id = $1 AND a.id = $2
"""
_OTHER_ADMIN = """
SELECT true FROM agents WHERE tenant_id = $1 AND role = 'admin' AND active AND id <> $2 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A person's place in the company; tokens of another version are worth nothing.

    `two_factor`: logging in takes a second factor; `two_factor_required`: the company wants one.
    """

    role: str
    granted: list[str] | None
    account_id: UUID
    active: bool
    token_version: int
    email_verified: bool
    two_factor: bool
    two_factor_required: bool
    sees: AgentsSee

    @property
    def permissions(self) -> tuple[str, ...]:
        """What this person may do, by a role of the company's own or one that all have."""
        return permissions_of((self.role,)) if self.granted is None else tuple(self.granted)

    @property
    def own_only(self) -> bool:
        """Whether of sessions this person sees only their own, and those nobody has."""
        return self.sees == "own"


_PEOPLE = Shape(Person)


class Standings:
    """Looks people and keys up, and hears when they change."""

    def __init__(self, database: Database, *, seconds: float = REMEMBERED_SECONDS) -> None:
        self._database = database
        self._keys = Remembered(self._read_key, seconds=seconds, most=_MOST)
        self._people = Remembered(self._read_person, seconds=seconds, most=_MOST)

    async def person(self, tenant_id: str, user_id: UUID) -> Person | None:
        """The person, unless unknown here or deactivated; raises UnavailableError."""
        try:
            found = await self._people.get((tenant_id, user_id))
        except Exception as error:
            raise judged(error) from error
        return found if found and found.active else None

    async def is_sole_admin(self, tenant_id: str, user_id: UUID) -> bool:
        """Whether nobody else is an active admin, as it is right now; raises UnavailableError."""
        try:
            async with self._database.tenant(tenant_id, read_only=True) as tx:
                return await tx.fetchval(_OTHER_ADMIN, tenant_id, user_id) is None
        except Exception as error:
            raise judged(error) from error

    async def person_changed(self, tx: Transaction, user_id: UUID) -> None:
        """Have every process read the person anew once the transaction is committed."""
        await self._changed(tx, f"{tx.tenant_id}/{user_id}")

    async def account_changed(self, tx: Transaction, account_id: UUID) -> None:
        """The same for whoever has this account, in all companies."""
        await self._changed(tx, f"/{account_id}")

    async def everybody_changed(self, tx: Transaction) -> None:
        """The same for all people of the company."""
        await self._changed(tx, f"{tx.tenant_id}/")

    async def api_key(self, key: str) -> ApiKeyRow | None:
        """The API key, unless it is unknown or has expired; raises UnavailableError."""
        try:
            found = await self._keys.get(api_keys.key_hash(key))
        except Exception as error:
            raise judged(error) from error
        if found is None or (found.expires_at and found.expires_at <= datetime.now(UTC)):
            return None
        return found

    async def api_key_changed(self, tx: Transaction, hashed: str) -> None:
        """Have every process read the key anew once the transaction is committed."""
        await self._changed(tx, hashed)

    async def _changed(self, tx: Transaction, subject: str) -> None:
        await tx.execute("SELECT pg_notify($1, $2)", _CHANGED, subject)
        tx.after_commit(lambda: self._forget(subject))

    async def run(self) -> None:
        """Hear what other processes change; raises when nothing can be heard."""
        ear = await self._database.dedicated("access")
        try:
            await ear.add_listener(_CHANGED, self._heard)
            self._forget_all()  # changes may have gone unheard
            while not ear.is_closed():
                await ear.fetchval("SELECT 1")  # a connection that broke in silence
                await asyncio.sleep(_LOOK_SECONDS)
            raise ConnectionResetError("nobody tells us what others have changed")
        finally:
            with suppress(Exception):
                await asyncio.shield(ear.close(timeout=5))

    def _heard(self, *notice: Any) -> None:
        self._forget(notice[-1])

    def _forget(self, subject: str) -> None:
        tenant_id, is_person, user_id = subject.partition("/")
        if user_id and not tenant_id:
            self._people.forget_found(lambda found: found.account_id == UUID(user_id))
        elif user_id:
            self._people.forget((tenant_id, UUID(user_id)))
        elif is_person:
            self._people.forget_those(lambda who: who[0] == tenant_id)
        else:
            self._keys.forget(subject)

    def _forget_all(self) -> None:
        self._keys.forget_all()
        self._people.forget_all()

    async def _read_person(self, who: tuple[str, UUID]) -> Person | None:
        tenant_id, user_id = who
        async with self._database.tenant(tenant_id, read_only=True) as tx:
            return await _PEOPLE.first(tx, _PERSON, tenant_id, user_id)

    async def _read_key(self, hashed: str) -> ApiKeyRow | None:
        async with self._database.system("login") as tx:
            found = await api_keys.find_by_hash(tx, hashed)
            if found is not None:
                await tx.act_for(found.tenant_id)
                await api_keys.mark_used(tx, hashed)
        return found

"""How API keys stand right now, without asking the database at every request.

What was read is believed for `REMEMBERED_SECONDS` at most. Whoever changes it says so in the
transaction of the change: this process knows with the commit, the others by NOTIFY a moment later.
Only while a process has lost the connection it hears by does the time matter.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from service_kit.database import Database, Transaction

from crm_gateway.access.remembered import Remembered
from crm_gateway.api_keys import repository as api_keys
from crm_gateway.api_keys.models import ApiKeyRow
from crm_gateway.problems.errors import judged

REMEMBERED_SECONDS = 10.0
_MOST = 10_000
_CHANGED = "access_changed"
"""NOTIFY channel; the payload names whose standing has changed."""
_LOOK_SECONDS = 5.0


class Standings:
    """Looks keys up, and hears when they change."""

    def __init__(self, database: Database, *, seconds: float = REMEMBERED_SECONDS) -> None:
        self._database = database
        self._keys = Remembered(self._read_key, seconds=seconds, most=_MOST)

    async def api_key(self, key: str) -> ApiKeyRow | None:
        """The API key, unless it is unknown or has expired; raises UnavailableError."""
        try:
            found = await self._keys.get(api_keys.key_hash(key))
        except Exception as error:
            raise judged(error) from error
        if found is None or (found.expires_at and found.expires_at <= datetime.now(UTC)):
            return None
        return found

    async def changed(self, tx: Transaction, subject: str) -> None:
        """Have every process read this one anew once the transaction is committed."""
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
        self._keys.forget(subject)

    def _forget_all(self) -> None:
        self._keys.forget_all()

    async def _read_key(self, hashed: str) -> ApiKeyRow | None:
        async with self._database.system("login") as tx:
            found = await api_keys.find_by_hash(tx, hashed)
            if found is not None:
                await tx.act_for(found.tenant_id)
                await api_keys.mark_used(tx, hashed)
        return found

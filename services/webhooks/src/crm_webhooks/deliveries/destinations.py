"""Where deliveries go, read at the time of sending so that edits apply to what is pending."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Database
from service_kit.rows import Shape

from crm_webhooks.endpoints.secrets import SigningKey, Vault

_READ = """
SELECT e.id, e.version, e.url, e.headers, e.enabled AND NOT e.deleted AS open,
    e.rate_limit_per_minute IS NOT NULL AS limited, e.max_concurrency,
    coalesce(array_agg(s.secret ORDER BY s.active_from DESC, s.id DESC)
        FILTER (WHERE s.id IS NOT NULL), '{}') AS secrets,
    coalesce(array_agg(s.signing ORDER BY s.active_from DESC, s.id DESC)
        FILTER (WHERE s.id IS NOT NULL), '{}') AS signings,
    coalesce(array_agg(s.expires_at ORDER BY s.active_from DESC, s.id DESC)
        FILTER (WHERE s.id IS NOT NULL), '{}') AS expiries
FROM webhook_endpoints e
LEFT JOIN endpoint_secrets s ON s.endpoint_id = e.id AND s.active_from <= now()
WHERE e.id = $1
GROUP BY e.id
"""


@dataclass(frozen=True, slots=True)
class _Stored:
    """An endpoint with its secrets, all sealed."""

    id: UUID
    version: int
    open: bool
    limited: bool
    max_concurrency: int | None
    url: str
    headers: bytes
    secrets: list[bytes]
    signings: list[str]
    expiries: list[datetime | None]


_STORED = Shape(_Stored)


@dataclass(frozen=True, slots=True)
class Destination:
    """An endpoint as a sender needs it. `secrets` are (key, end of its life), newest first.

    A `limited` one is sent nothing without a token (`rates`), one with `max_concurrency` nothing
    but by its owner (`owners`).
    """

    id: UUID
    version: int
    open: bool
    limited: bool
    max_concurrency: int | None
    url: str
    headers: dict[str, str]
    secrets: tuple[tuple[SigningKey, datetime | None], ...]

    def keys(self, now: datetime) -> list[SigningKey]:
        """The keys that sign at this moment, newest first."""
        return [key for key, expires_at in self.secrets if expires_at is None or expires_at > now]


class Destinations:
    """Endpoints by id, kept until a newer version is seen or a change is announced."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._known: dict[UUID, Destination] = {}
        self._reading: dict[UUID, asyncio.Task[Destination | None]] = {}

    def forget(self, endpoint_id: UUID) -> None:
        """It was changed."""
        self._known.pop(endpoint_id, None)
        self._reading.pop(endpoint_id, None)

    def forget_all(self) -> None:
        """Announcements may have been missed."""
        self._known.clear()
        self._reading.clear()

    async def get(self, endpoint_id: UUID, version: int) -> Destination | None:
        """The endpoint, at least as new as `version`; None when it takes nothing at present."""
        known = self._known.get(endpoint_id)
        if known is None or known.version < version:
            known = await self._read_once(endpoint_id)
        return known if known is not None and known.open else None

    async def _read_once(self, endpoint_id: UUID) -> Destination | None:
        """Read it; whoever asks meanwhile shares the answer."""
        reading = self._reading.get(endpoint_id)
        if reading is None:
            reading = asyncio.create_task(self._read(endpoint_id))
            self._reading[endpoint_id] = reading
        try:
            return await asyncio.shield(reading)
        finally:
            if self._reading.get(endpoint_id) is reading and reading.done():
                del self._reading[endpoint_id]

    async def _read(self, endpoint_id: UUID) -> Destination | None:
        found = await self.read(endpoint_id)
        if found is not None and self._reading.get(endpoint_id) is asyncio.current_task():
            self._known[endpoint_id] = found
        return found

    async def read(self, endpoint_id: UUID) -> Destination | None:
        """The endpoint as it is now, open or not; raises WrongKeyError."""
        async with self._database.system("deliver") as tx:
            row = await _STORED.first(tx, _READ, endpoint_id)
        if row is None:
            return None
        return Destination(
            row.id,
            row.version,
            row.open,
            row.limited,
            row.max_concurrency,
            row.url,
            self._vault.open_headers(row.headers),
            tuple(
                (self._vault.open(secret, signing), expires_at)
                for secret, signing, expires_at in zip(
                    row.secrets, row.signings, row.expiries, strict=True
                )
            ),
        )

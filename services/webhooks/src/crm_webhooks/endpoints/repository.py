"""Endpoints and their secrets in the database."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from service_kit.database import Transaction
from service_kit.errors import NotFoundError, PreconditionFailedError
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.sealing import WrongKeyError
from shared_events.requests import ListQuery, Page
from shared_events.webhooks.endpoint import WebhookEndpoint
from sqlalchemy import not_, select

from crm_webhooks.endpoints import rules
from crm_webhooks.endpoints.models import TABLE
from crm_webhooks.endpoints.secrets import Vault

log = structlog.get_logger()

# Every process forgets what it knows of an endpoint, and looks for what has become due.
_ANNOUNCE = "SELECT pg_notify('webhook_endpoints', $1)"
_COLUMNS = {
    "url": "text",
    "description": "text",
    "event_types": "text[]",
    "headers": "bytea",
    "enabled": "boolean",
    "disabled_reason": "text",
}
_EXISTING = select(TABLE).where(not_(TABLE.c.deleted))
_NEWEST_FIRST = Order("endpoints", [(TABLE.c.id, UUID)], tenant=TABLE.c.tenant_id, descending=True)


class EndpointRepository:
    """Reads and writes endpoints in the caller's transaction."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def insert(
        self,
        tx: Transaction,
        *,
        url: str,
        description: str | None,
        event_types: list[str],
        headers: Mapping[str, str],
        disabled_reason: str | None,
        secret: str,
    ) -> WebhookEndpoint:
        """A new endpoint, enabled unless there is a reason why not."""
        row = await tx.fetchrow(
            "INSERT INTO webhook_endpoints (id, tenant_id, url, description, event_types, headers,"
            " enabled, disabled_reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
            uuid7(),
            tx.tenant_id,
            url,
            description,
            event_types,
            self._vault.seal_headers(dict(headers)),
            disabled_reason is None,
            disabled_reason,
        )
        endpoint = self._resource(row)
        await tx.execute(
            "INSERT INTO endpoint_secrets (id, tenant_id, endpoint_id, secret)"
            " VALUES ($1, $2, $3, $4)",
            uuid7(),
            tx.tenant_id,
            endpoint.id,
            self._vault.seal(secret),
        )
        return endpoint

    async def get(self, tx: Transaction, endpoint_id: UUID) -> WebhookEndpoint:
        """One endpoint; raises NotFoundError."""
        return self._resource(await self._find(tx, endpoint_id, ""))

    async def lock(
        self, tx: Transaction, endpoint_id: UUID, expected_version: int | None
    ) -> WebhookEndpoint:
        """One endpoint, held until the transaction ends, with its headers unhidden.

        Raises NotFoundError, or PreconditionFailedError when it is not of the expected version.
        """
        row = await self._find(tx, endpoint_id, "FOR UPDATE")
        PreconditionFailedError.check(expected_version, row["version"])
        return self._resource(row).model_copy(update={"headers": self._headers(row)})

    async def page(self, tx: Transaction, request: ListQuery[Any]) -> Page[WebhookEndpoint]:
        """Endpoints, newest first; raises MalformedError."""
        return await _NEWEST_FIRST.page(tx, _EXISTING, request, self._resource)

    async def update(
        self, tx: Transaction, endpoint_id: UUID, changes: Mapping[str, Any]
    ) -> WebhookEndpoint:
        """Write the changed fields. Enabling also forgets past failures and pauses."""
        values = dict(changes)
        if "headers" in values:
            values["headers"] = self._vault.seal_headers(values["headers"])
        places = [f"{name} = ${n}::{_COLUMNS[name]}" for n, name in enumerate(values, start=2)]
        if values.get("enabled"):
            places += ["paused_until = NULL", "failing_since = NULL", "failed_deliveries = 0"]
        row = await tx.fetchrow(
            f"UPDATE webhook_endpoints SET {', '.join(places)}, version = version + 1,"  # noqa: S608
            " updated_at = now() WHERE id = $1 RETURNING *",
            endpoint_id,
            *values.values(),
        )
        await self.announce(tx, endpoint_id)
        return self._resource(row)

    async def disable(
        self, tx: Transaction, endpoint_id: UUID, reason: str
    ) -> WebhookEndpoint | None:
        """Stop sending to it; None when it was disabled or deleted already."""
        row = await tx.fetchrow(
            "UPDATE webhook_endpoints SET enabled = false, disabled_reason = $2,"
            " version = version + 1, updated_at = now()"
            " WHERE id = $1 AND enabled AND NOT deleted RETURNING *",
            endpoint_id,
            reason,
        )
        if row is None:
            return None
        await self.announce(tx, endpoint_id)
        return self._resource(row)

    async def delete(self, tx: Transaction, endpoint_id: UUID) -> None:
        """Remove it from sight and cancel what is still owed; its history stays until purged."""
        await tx.execute(
            "UPDATE webhook_endpoints SET deleted = true, enabled = false, version = version + 1,"
            " updated_at = now() WHERE id = $1",
            endpoint_id,
        )
        await tx.execute("DELETE FROM endpoint_secrets WHERE endpoint_id = $1", endpoint_id)
        await tx.execute(
            "UPDATE webhook_deliveries SET status = 'cancelled', next_attempt_at = NULL,"
            " lease_owner = NULL, lease_until = NULL, updated_at = now()"
            " WHERE endpoint_id = $1 AND status IN ('pending', 'retrying')",
            endpoint_id,
        )
        await self.announce(tx, endpoint_id)

    async def announce(self, tx: Transaction, endpoint_id: UUID) -> None:
        """Tell the senders, at commit, that there is news of this endpoint."""
        await tx.execute(_ANNOUNCE, str(endpoint_id))

    async def _find(self, tx: Transaction, endpoint_id: UUID, locking: str) -> asyncpg.Record:
        row = await tx.fetchrow(
            f"SELECT * FROM webhook_endpoints WHERE id = $1 AND tenant_id = $2 AND NOT deleted"  # noqa: S608
            f" {locking}",
            endpoint_id,
            tx.tenant_id,
        )
        if row is None:
            raise NotFoundError("webhook_endpoint")
        return row

    def _resource(self, row: asyncpg.Record | None) -> WebhookEndpoint:
        if row is None:
            raise NotFoundError("webhook_endpoint")
        headers = rules.shown(self._headers(row))
        return WebhookEndpoint.model_validate({**dict(row), "headers": headers})

    def _headers(self, row: asyncpg.Record) -> dict[str, str]:
        """None for those our keys do not open: the endpoint can still be seen and mended."""
        try:
            return self._vault.open_headers(row["headers"])
        except WrongKeyError:
            log.error("headers_not_readable", endpoint=str(row["id"]))
            return {}

"""Endpoints and their secrets in the database."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ExpectedVersion,
    NotFoundError,
    PreconditionFailedError,
)
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.rows import Rows
from service_kit.sealing import WrongKeyError
from shared_events.requests import ListQuery, Page
from shared_events.webhooks.endpoint import WebhookEndpoint
from sqlalchemy import func, not_, select, update

from crm_webhooks.endpoints import models, rules
from crm_webhooks.endpoints.secrets import SigningSecret, Vault

log = structlog.get_logger()

# Every process forgets what it knows of an endpoint, and looks for what has become due.
_ANNOUNCE = "SELECT pg_notify('webhook_endpoints', $1)"
MOST_SECRETS = 10
# What has expired is of no use to anybody, and the sender reads all there are.
_EXPIRE = """
WITH gone AS (
    DELETE FROM endpoint_secrets
    WHERE endpoint_id = $1 AND tenant_id = $2 AND (expires_at <= now() OR $3::int = 0)
)
UPDATE endpoint_secrets SET expires_at = now() + make_interval(secs => $3)
WHERE endpoint_id = $1 AND tenant_id = $2 AND $3 > 0
    AND coalesce(expires_at, 'infinity') > now() + make_interval(secs => $3)
"""
_LIVE_SECRETS = "SELECT count(*) FROM endpoint_secrets WHERE endpoint_id = $1 AND tenant_id = $2"
ENDPOINTS = Rows(models.Endpoint)
_SECRETS = Rows(models.EndpointSecret)
_C = ENDPOINTS.table.c
_EXISTING = select(models.Endpoint).where(not_(_C.deleted))
_NEWEST_FIRST = Order("endpoints", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
_SHOWN = (WebhookEndpoint.model_fields.keys() & models.Endpoint.model_fields.keys()) - {"headers"}


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
        channel_ids: list[str],
        session_ids: list[str],
        headers: Mapping[str, str],
        rate_limit_per_minute: int | None,
        max_concurrency: int | None,
        disabled_reason: str | None,
        secret: SigningSecret,
        **verification: Any,
    ) -> WebhookEndpoint:
        """A new endpoint, enabled unless there is a reason why not."""
        row = models.Endpoint(
            id=uuid7(),
            tenant_id=tx.tenant_id,
            url=url,
            description=description,
            event_types=event_types,
            channel_ids=channel_ids,
            session_ids=session_ids,
            headers=self._vault.seal_headers(dict(headers)),
            rate_limit_per_minute=rate_limit_per_minute,
            max_concurrency=max_concurrency,
            public_key=secret.public_key,
            enabled=disabled_reason is None,
            disabled_reason=disabled_reason,
            **verification,
        )
        await ENDPOINTS.insert(tx, [row])
        await self._keep(tx, row.id, secret)
        return await self.get(tx, row.id)

    async def get(self, tx: Transaction, endpoint_id: UUID) -> WebhookEndpoint:
        """One endpoint; raises NotFoundError."""
        return self._resource(await self._find(tx, endpoint_id, ""))

    async def lock(
        self, tx: Transaction, endpoint_id: UUID, expected_version: ExpectedVersion
    ) -> WebhookEndpoint:
        """One endpoint, held until the transaction ends, with its headers unhidden.

        Raises NotFoundError, or PreconditionFailedError when it is not of the expected version.
        """
        row = await self._find(tx, endpoint_id, "FOR UPDATE")
        PreconditionFailedError.check(expected_version, row.version)
        return self._resource(row).model_copy(update={"headers": self._headers(row)})

    async def page(self, tx: Transaction, request: ListQuery[Any]) -> Page[WebhookEndpoint]:
        """Endpoints, newest first; raises MalformedError."""
        return await _NEWEST_FIRST.page(tx, _EXISTING, request, ENDPOINTS, self._resource)

    async def update(
        self, tx: Transaction, endpoint_id: UUID, changes: Mapping[str, Any]
    ) -> WebhookEndpoint:
        """Write the changed fields. Enabling, or another URL, also forgets failures and pauses."""
        values = dict(changes)
        if "headers" in values:
            values["headers"] = self._vault.seal_headers(values["headers"])
        if values.get("enabled") or "url" in values:
            values |= {"paused_until": None, "failing_since": None, "failed_deliveries": 0}
        row = await ENDPOINTS.first(
            tx,
            update(models.Endpoint)
            .where(_C.id == endpoint_id)
            .values(**values, version=_C.version + 1, updated_at=func.now())
            .returning(*_C),
        )
        await self.announce(tx, endpoint_id)
        return self._resource(row)

    async def rotate(
        self, tx: Transaction, endpoint_id: UUID, secret: SigningSecret, *, overlap_seconds: int
    ) -> WebhookEndpoint:
        """Add a secret; those of before sign for `overlap_seconds` at the most.

        The caller holds the endpoint. Raises ConflictError when too many would sign: each is a
        signature in the header of every delivery.
        """
        await tx.execute(_EXPIRE, endpoint_id, tx.tenant_id, overlap_seconds)
        if await tx.fetchval(_LIVE_SECRETS, endpoint_id, tx.tenant_id) >= MOST_SECRETS:
            raise ConflictError(
                "too_many_secrets",
                f"{MOST_SECRETS} secrets sign already: wait, or rotate without an overlap.",
                limit=MOST_SECRETS,
            )
        await self._keep(tx, endpoint_id, secret)
        return await self.update(tx, endpoint_id, {"public_key": secret.public_key})

    async def _keep(self, tx: Transaction, endpoint_id: UUID, secret: SigningSecret) -> None:
        sealed = models.EndpointSecret(
            id=uuid7(),
            tenant_id=tx.tenant_id,
            endpoint_id=endpoint_id,
            secret=self._vault.seal(secret),
            signing=secret.signing,
        )
        await _SECRETS.insert(tx, [sealed])

    async def disable(
        self, tx: Transaction, endpoint_id: UUID, reason: str
    ) -> WebhookEndpoint | None:
        """Stop sending to it; None when it was disabled or deleted already."""
        row = await ENDPOINTS.first(
            tx,
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

    async def warn(self, tx: Transaction, endpoint_id: UUID, percent: int) -> WebhookEndpoint:
        """Note that it is told of as failing, this far on the way to being disabled."""
        row = await ENDPOINTS.first(
            tx,
            "UPDATE webhook_endpoints SET warned = $2 WHERE id = $1 RETURNING *",
            endpoint_id,
            percent,
        )
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

    async def _find(self, tx: Transaction, endpoint_id: UUID, locking: str) -> models.Endpoint:
        row = await ENDPOINTS.first(
            tx,
            f"SELECT * FROM webhook_endpoints WHERE id = $1 AND tenant_id = $2 AND NOT deleted"  # noqa: S608
            f" {locking}",
            endpoint_id,
            tx.tenant_id,
        )
        if row is None:
            raise NotFoundError("webhook_endpoint")
        return row

    def _resource(self, row: models.Endpoint | None) -> WebhookEndpoint:
        if row is None:
            raise NotFoundError("webhook_endpoint")
        headers = rules.shown(self._headers(row))
        shown = {name: getattr(row, name) for name in _SHOWN}
        return WebhookEndpoint.model_validate({**shown, "headers": headers})

    def _headers(self, row: models.Endpoint) -> dict[str, str]:
        """None for those our keys do not open: the endpoint can still be seen and mended."""
        try:
            return self._vault.open_headers(row.headers)
        except WrongKeyError:
            log.error("headers_not_readable", endpoint=str(row.id))
            return {}

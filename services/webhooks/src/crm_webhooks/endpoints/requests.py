"""The requests about endpoints (`shared_events.webhooks.endpoint`)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.egress import Egress
from service_kit.errors import ConflictError, InvalidError
from service_kit.text import without_nul
from shared_events.requests import Nothing, Page
from shared_events.webhooks.endpoint import (
    CreateEndpoint,
    DeleteEndpoint,
    GetEndpoint,
    ListEndpoints,
    PatchEndpoint,
    RotateSecret,
    VerifyEndpoint,
    WebhookEndpoint,
)

from crm_webhooks.endpoints import rules, verification
from crm_webhooks.endpoints.events import disabled
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.secrets import SigningSecret

BY_USER = "disabled_by_user"


class EndpointRequests:
    """Answers them, each in the caller's transaction.

    `on_challenge` is called when a URL is to be sent a challenge.
    """

    def __init__(
        self,
        endpoints: EndpointRepository,
        egress: Egress,
        on_challenge: Callable[[], None],
        *,
        plain_http: bool,
    ) -> None:
        self._endpoints = endpoints
        self._on_challenge = on_challenge
        self._egress = egress
        self._plain_http = plain_http

    async def create(self, tx: Transaction, request: CreateEndpoint, call: Call) -> WebhookEndpoint:
        """A new endpoint; this reply alone shows its secret."""
        del call
        url = str(request.url)
        rules.check_url(url, self._egress, plain_http=self._plain_http)
        headers = rules.unhidden(request.headers, {})
        rules.check_headers(headers)
        rules.check_event_types(request.event_types)
        secret = SigningSecret.new(request.signing)
        waits = verification.UNVERIFIED if request.verify == "challenge" else None
        endpoint = await self._endpoints.insert(
            tx,
            url=url,
            description=without_nul(request.description),
            event_types=request.event_types,
            channel_ids=list(map(str, request.channel_ids)),
            session_ids=list(map(str, request.session_ids)),
            headers=headers,
            rate_limit_per_minute=request.rate_limit_per_minute,
            max_concurrency=request.max_concurrency,
            disabled_reason=waits if request.enabled else BY_USER,
            secret=secret,
            **verification.of_new(request.verify),
        )
        return endpoint.model_copy(update={"secret": secret.secret})

    async def get(self, tx: Transaction, request: GetEndpoint, call: Call) -> WebhookEndpoint:
        """One endpoint, without its secret."""
        del call
        return await self._endpoints.get(tx, request.endpoint_id)

    async def list(
        self, tx: Transaction, request: ListEndpoints, call: Call
    ) -> Page[WebhookEndpoint]:
        """Endpoints, newest first."""
        del call
        return await self._endpoints.page(tx, request)

    async def patch(self, tx: Transaction, request: PatchEndpoint, call: Call) -> WebhookEndpoint:
        """Change what the request names. Enabling lets held deliveries go."""
        endpoint = await self._endpoints.lock(tx, request.endpoint_id, call.expected_version)
        changes = self._changes(request, endpoint)
        if not changes:
            return await self._endpoints.get(tx, request.endpoint_id)
        changed = await self._endpoints.update(tx, endpoint.id, changes)
        if changes.get("challenge_due_at"):
            tx.after_commit(self._on_challenge)
        if endpoint.enabled and not changed.enabled:
            tx.outbox.add(disabled(changed), endpoint.id)
        return changed

    def _changes(self, request: PatchEndpoint, endpoint: WebhookEndpoint) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if request.url is not None:
            changes["url"] = str(request.url)
            rules.check_url(changes["url"], self._egress, plain_http=self._plain_http)
        headers = self._headers(request, endpoint)
        if headers is not None:
            rules.check_headers(headers)
            changes["headers"] = headers
        if request.event_types is not None:
            rules.check_event_types(request.event_types)
            changes["event_types"] = request.event_types
        if request.channel_ids is not None:
            changes["channel_ids"] = list(map(str, request.channel_ids))
        if request.session_ids is not None:
            changes["session_ids"] = list(map(str, request.session_ids))
        if "description" in request.model_fields_set:
            changes["description"] = without_nul(request.description)
        for name in ("rate_limit_per_minute", "max_concurrency"):
            if name in request.model_fields_set:
                changes[name] = getattr(request, name)
        if request.enabled is not None and (
            request.enabled is not endpoint.enabled
            or endpoint.disabled_reason == verification.UNVERIFIED
        ):
            changes["enabled"] = request.enabled
            changes["disabled_reason"] = None if request.enabled else BY_USER
        return changes | verification.required(endpoint, changes, request.verify or endpoint.verify)

    def _headers(self, request: PatchEndpoint, endpoint: WebhookEndpoint) -> dict[str, str] | None:
        """The headers the request asks for, None when it names none.

        Values nobody may read are not sent to another host either: they must be given anew.
        """
        if request.url is None or not rules.leads_elsewhere(str(request.url), endpoint.url):
            held = endpoint.headers
        elif request.headers is None and endpoint.headers:
            raise InvalidError.field(
                "headers",
                "headers_missing",
                "The URL leads to another host: send the headers with their values, or none.",
            )
        else:
            held = {}
        return None if request.headers is None else rules.unhidden(request.headers, held)

    async def rotate_secret(
        self, tx: Transaction, request: RotateSecret, call: Call
    ) -> WebhookEndpoint:
        """A new secret, shown by this reply alone; the old ones sign for as long as was asked."""
        before = await self._endpoints.lock(tx, request.endpoint_id, call.expected_version)
        secret = SigningSecret.new(request.signing or ("ed25519" if before.public_key else "hmac"))
        endpoint = await self._endpoints.rotate(
            tx, request.endpoint_id, secret, overlap_seconds=request.overlap_seconds
        )
        return endpoint.model_copy(update={"secret": secret.secret})

    async def verify(self, tx: Transaction, request: VerifyEndpoint, call: Call) -> WebhookEndpoint:
        """Have a challenge sent; raises ConflictError where none is asked for."""
        endpoint = await self._endpoints.lock(tx, request.endpoint_id, call.expected_version)
        if endpoint.verify == "none":
            raise ConflictError("endpoint_without_challenge", "It is sent to without a challenge.")
        due = {"challenge_due_at": datetime.now(UTC)}
        changed = await self._endpoints.update(tx, endpoint.id, due)
        tx.after_commit(self._on_challenge)
        return changed

    async def delete(self, tx: Transaction, request: DeleteEndpoint, call: Call) -> Nothing:
        """Stop sending to it for good."""
        await self._endpoints.lock(tx, request.endpoint_id, call.expected_version)
        await self._endpoints.delete(tx, request.endpoint_id)
        return Nothing()

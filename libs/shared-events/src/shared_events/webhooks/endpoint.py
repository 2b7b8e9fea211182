"""Webhook endpoints: the URLs customers have events sent to."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery, Nothing, Query
from shared_events.webhooks.delivery import WebhookDelivery

Signing = Literal["hmac", "ed25519"]
"""By a secret both sides know (`v1`), or by a key of ours that a public key verifies (`v1a`)."""
Verify = Literal["none", "challenge"]
"""Whether a URL must answer a `webhook.challenge` before anything else is sent to it."""


class WebhookEndpoint(Contract):
    """A customer's URL. `secret` is filled only on creation and rotation.

    With a `public_key` (`whpk_` and base64 of 32 bytes) its newest key is ed25519, and no secret.

    With `channel_ids`, of what happens on a channel only those of these are sent; what happens on
    none (a contact is created) is sent all the same. Which of both, `event_types` says. So it is
    with `session_ids`, and with both an event must be of one of each.

    With `verify` `challenge` it is disabled (`unverified`) until its URL has answered one; what is
    owed to it meanwhile is held. `challenge_error` is how the last one failed, if it did.

    With `rate_limit_per_minute` it is sent no more requests than that in any minute, evenly spaced,
    retries among them; the rest waits, and no attempt is counted for it. With `max_concurrency` no
    more than that are under way at the same time, nor more than the installation has for each.
    """

    id: UUID
    url: bounds.Url
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    event_types: list[str]
    channel_ids: list[UUID] = Field(default_factory=list)
    session_ids: list[UUID] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)
    rate_limit_per_minute: int | None = None
    max_concurrency: int | None = None
    enabled: bool
    disabled_reason: bounds.Word | None = None
    secret: str | None = None
    public_key: str | None = None
    verify: Verify = "none"
    verified_at: datetime | None = None
    challenge_error: bounds.Word | None = None
    version: int
    created_at: datetime
    updated_at: datetime


DAY_SECONDS = 86_400
EventPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z]+\.(\*|[a-z_]+))$", max_length=100)
]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=100)]
ChannelIds = Annotated[list[UUID], Field(max_length=100)]
SessionIds = Annotated[list[UUID], Field(max_length=100)]
Headers = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=20)
]
RateLimit = Annotated[int, Field(ge=1, le=6000)]
Concurrency = Annotated[int, Field(ge=1, le=100)]
EndpointUrl = Annotated[HttpUrl, Field(max_length=2048)]


class CreateEndpoint(Command[WebhookEndpoint], key="webhooks.endpoint.create"):
    """Have events sent to a URL. The reply alone carries the signing secret.

    With `signing` `ed25519` there is none: deliveries are verified by the endpoint's `public_key`.
    With `verify` `challenge` nothing is sent before its URL has answered a `webhook.challenge`.
    `POST /webhook-endpoints/{id}/verify` has that sent, once the receiver knows the secret.
    """

    url: EndpointUrl
    description: str | None = Field(default=None, max_length=500)
    event_types: EventPatterns = Field(default_factory=lambda: ["*"])
    channel_ids: ChannelIds = Field(default_factory=list)
    session_ids: SessionIds = Field(default_factory=list)
    headers: Headers = Field(default_factory=dict)
    rate_limit_per_minute: RateLimit | None = None
    max_concurrency: Concurrency | None = None
    enabled: bool = True
    signing: Signing = "hmac"
    verify: Verify = "none"


class PatchEndpoint(Command[WebhookEndpoint], key="webhooks.endpoint.patch"):
    """Change an endpoint; what is left out stays. Pending deliveries follow the new settings.

    `rate_limit_per_minute` null is none, and so is `max_concurrency`.

    Another URL of an endpoint with `verify` `challenge` must answer one first.
    """

    endpoint_id: UUID
    url: EndpointUrl | None = None
    description: str | None = Field(default=None, max_length=500)
    event_types: EventPatterns | None = None
    channel_ids: ChannelIds | None = None
    session_ids: SessionIds | None = None
    headers: Headers | None = None
    rate_limit_per_minute: RateLimit | None = None
    max_concurrency: Concurrency | None = None
    enabled: bool | None = None
    verify: Verify | None = None


class GetEndpoint(Query[WebhookEndpoint], key="webhooks.endpoint.get"):
    """Read one endpoint."""

    endpoint_id: UUID


class ListEndpoints(ListQuery[WebhookEndpoint], key="webhooks.endpoint.list"):
    """All endpoints, newest first."""


class DeleteEndpoint(Command[Nothing], key="webhooks.endpoint.delete"):
    """Stop sending to a URL; what is still owed is cancelled."""

    endpoint_id: UUID


class RotateSecret(Command[WebhookEndpoint], key="webhooks.endpoint.rotate_secret"):
    """Make a new signing secret, which the reply alone carries.

    The old ones sign beside it for `overlap_seconds`; with 0 they sign nothing any more. `signing`
    says of which kind it is, the same as before when left out; an ed25519 key shows its
    `public_key` instead.
    """

    endpoint_id: UUID
    overlap_seconds: int = Field(default=DAY_SECONDS, ge=0, le=7 * DAY_SECONDS)
    signing: Signing | None = None


class VerifyEndpoint(Command[WebhookEndpoint], key="webhooks.endpoint.verify"):
    """Send a `webhook.challenge` to the endpoint's URL: for the first time, or again.

    What came of it is read there: `verified_at`, or `challenge_error`.
    """

    endpoint_id: UUID


class SendTest(Command[WebhookDelivery], key="webhooks.endpoint.test"):
    """Send `webhook.test` to this endpoint alone, whatever events it asks for."""

    endpoint_id: UUID


class WebhookTest(EventData, type="webhook.test", aggregate="endpoint", public=True):
    """Somebody wanted to see whether webhooks arrive; only the endpoint under test gets it."""

    endpoint_id: UUID
    requested_by: UUID | None = None


class WebhookChallenge(EventData, type="webhook.challenge", aggregate="endpoint", public=True):
    """Whoever receives this is asked whether they want webhooks here; only they get it.

    To want them is to answer 2xx with `challenge`, as text or as `{"challenge": ...}`.
    """

    endpoint_id: UUID
    challenge: str


class WebhookEndpointFailing(
    EventData, type="webhook.endpoint_failing", aggregate="endpoint", public=True
):
    """A webhook endpoint has taken nothing since `failing_since`; it may be disabled soon.

    Told at 50, 75 and 90 `percent` of what it takes to be disabled (`failing`), which is at
    `disabled_at` at the earliest.
    """

    endpoint: WebhookEndpoint
    percent: int
    failing_since: datetime
    failed_deliveries: int
    disabled_at: datetime


class WebhookEndpointDisabled(
    EventData, type="webhook.endpoint_disabled", aggregate="endpoint", public=True
):
    """A webhook endpoint was disabled; `endpoint.disabled_reason` says why."""

    endpoint: WebhookEndpoint

"""What it takes for a URL to be sent to: nothing, or that it has answered a challenge."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service_kit.errors import ConflictError
from shared_events.webhooks.endpoint import Verify, WebhookEndpoint

UNVERIFIED = "unverified"
"""Why an endpoint is disabled that will be enabled once its URL has answered."""
_NOTHING: dict[str, Any] = {
    "verify": "none",
    "verified_at": None,
    "challenge_due_at": None,
    "challenge_error": None,
}
_ENABLED: dict[str, Any] = {"enabled": True, "disabled_reason": None}
_WAITING: dict[str, Any] = {"enabled": False, "disabled_reason": UNVERIFIED}


def of_new(verify: Verify) -> dict[str, Any]:
    """The columns of a new endpoint that is to be verified so.

    No challenge is sent yet: it would be signed with a secret that nobody has seen, and who checks
    signatures, as they should before they answer one, would refuse it.
    """
    return {**_NOTHING, "verify": verify}


def asked_for(verify: Verify) -> dict[str, Any]:
    """The columns of an endpoint that is to be verified so, from now on."""
    if verify == "none":
        return dict(_NOTHING)
    return {**_NOTHING, "verify": verify, "challenge_due_at": datetime.now(UTC)}


def required(
    endpoint: WebhookEndpoint, changes: Mapping[str, Any], verify: Verify
) -> dict[str, Any]:
    """What changes of an endpoint, which is verified so from now on, entail.

    Raises ConflictError when it would be sent to without having answered.
    """
    waited = endpoint.disabled_reason == UNVERIFIED
    enabled = changes.get("enabled", endpoint.enabled or waited)
    if verify == "none":
        if endpoint.verify == "none":
            return {}
        return {**asked_for(verify), **(_ENABLED if enabled and waited else {})}
    if endpoint.verify == "none" or changes.get("url", endpoint.url) != endpoint.url:
        return {**asked_for(verify), **(_WAITING if enabled else {})}
    if endpoint.verified_at is None and changes.get("enabled"):
        raise ConflictError(
            "endpoint_unverified", "Its URL has not answered a challenge: nothing is sent to it."
        )
    return {}


def answered(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What changes of an endpoint whose URL has answered the challenge."""
    verified = {**_NOTHING, "verify": endpoint.verify, "verified_at": datetime.now(UTC)}
    return {**verified, **(_ENABLED if endpoint.disabled_reason == UNVERIFIED else {})}


def failed(error: str) -> dict[str, Any]:
    """What changes of an endpoint whose URL has not answered."""
    return {"challenge_due_at": None, "challenge_error": error}

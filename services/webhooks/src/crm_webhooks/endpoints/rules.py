"""What an endpoint may look like; refused with 422 and the field's name when it is saved."""

import re
from collections.abc import Iterable, Mapping

from service_kit.errors import InvalidError
from shared_events.registry import PUBLIC

from crm_webhooks.deliveries.egress import Egress, acceptable_url

HIDDEN = "[hidden]"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset(
    {
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "user-agent",
        "accept-encoding",
        "traceparent",
        "tracestate",
        "x-request-id",
        "x-webhook-signature",
    }
)
_OUR_PREFIXES = ("content-", "proxy-", "webhook-", "x-amz-", "x-goog-", "x-azure-")
_SENSITIVE = re.compile(r"auth|cookie|token|key|secret|password|signature", re.IGNORECASE)
_EVENT_TYPES = frozenset(event.event_type for event in PUBLIC)


def check_url(url: str, egress: Egress, *, plain_http: bool) -> None:
    """Raises InvalidError unless webhooks may go to this URL."""
    if not acceptable_url(url, egress, plain_http=plain_http):
        schemes = "http or https" if plain_http else "https"
        raise InvalidError.field(
            "url",
            "url_not_allowed",
            f"The URL must be {schemes}, without user or password, and lead to a public address.",
        )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises InvalidError for a header that is ours, or that is none."""
    for name, value in headers.items():
        lower = name.lower()
        if lower in _OURS or lower.startswith(_OUR_PREFIXES):
            raise InvalidError.field(
                f"headers/{name}", "header_not_allowed", "This header is set by us."
            )
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidError.field(
                "headers", "header_malformed", "Header names and values are printable ASCII."
            )
    if len({name.lower() for name in headers}) < len(headers):
        raise InvalidError.field("headers", "header_repeated", "A header is given twice.")


def check_event_types(patterns: Iterable[str]) -> None:
    """Raises InvalidError for an exact event type that nobody publishes."""
    for place, pattern in enumerate(patterns):
        if "*" not in pattern and pattern not in _EVENT_TYPES:
            raise InvalidError.field(
                f"event_types/{place}", "unknown_event_type", f"There is no event {pattern}."
            )


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as replies show them: what may be a credential is hidden."""
    return {n: HIDDEN if _SENSITIVE.search(n) else v for n, v in headers.items()}


def unhidden(headers: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """Headers as a customer sends them back: a hidden value means the one we have."""
    return {n: stored.get(n, v) if v == HIDDEN else v for n, v in headers.items()}

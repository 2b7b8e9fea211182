"""What an endpoint may look like; refused with 422 and the field's name when it is saved."""

import re
from collections.abc import Iterable, Mapping

from service_kit.egress import Egress
from service_kit.errors import InvalidError
from shared_events.registry import PUBLIC
from yarl import URL

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
_EVENT_TYPES = frozenset(event.event_type for event in PUBLIC)


def check_url(url: str, egress: Egress, *, plain_http: bool) -> None:
    """Raises InvalidError unless webhooks may go to this URL."""
    if not egress.allows_url(url, plain_http=plain_http):
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
                ("headers", name), "header_not_allowed", "This header is set by us."
            )
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidError.field(
                "headers", "header_malformed", "Header names and values are printable ASCII."
            )
    if len({name.lower() for name in headers}) < len(headers):
        raise InvalidError.field("headers", "header_repeated", "A header is given twice.")


def check_event_types(patterns: Iterable[str], field: str = "event_types") -> None:
    """Raises InvalidError for an exact event type that nobody publishes, given in this field."""
    for place, pattern in enumerate(patterns):
        if "*" not in pattern and pattern not in _EVENT_TYPES:
            raise InvalidError.field(
                f"{field}/{place}", "unknown_event_type", f"There is no event {pattern}."
            )


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as replies and events show them: any value may be a credential."""
    return dict.fromkeys(headers, HIDDEN)


def unhidden(headers: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """Headers as a customer sends them back: a hidden value means the one we have.

    Raises InvalidError where we have none.
    """
    known = {name.lower(): value for name, value in stored.items()}
    found: dict[str, str] = {}
    for name, value in headers.items():
        if value == HIDDEN and name.lower() not in known:
            raise InvalidError.field(
                ("headers", name), "header_hidden", "We hold no value for it: send the value."
            )
        found[name] = known[name.lower()] if value == HIDDEN else value
    return found


def leads_elsewhere(url: str, before: str) -> bool:
    """Whether two URLs differ in scheme, host or port: headers for one are not for the other."""
    there, here = URL(url), URL(before)
    return (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port)

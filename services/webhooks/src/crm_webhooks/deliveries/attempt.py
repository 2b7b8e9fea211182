"""One attempt to hand a delivery over: what is sent, what counts as done, how it can fail."""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import structlog
from service_kit.egress import Egress, ForbiddenAddressError
from yarl import URL

from crm_webhooks.deliveries import schedule
from crm_webhooks.deliveries.destinations import Destination
from crm_webhooks.deliveries.excerpt import MAX_BODY_BYTES, excerpt
from crm_webhooks.deliveries.phases import Phases
from crm_webhooks.deliveries.signing import body_signature, standard_signature
from crm_webhooks.endpoints.secrets import SigningKey
from crm_webhooks.settings import WebhooksSettings

log = structlog.get_logger()

USER_AGENT = "Ventros-Webhooks/1.0"

GONE = 410
THROTTLED = frozenset({429, 502, 503, 504})
_CERTIFICATE_FAULTS = {  # X509_V_ERR_* of OpenSSL
    9: "tls_expired",  # not yet valid
    10: "tls_expired",
    62: "tls_wrong_host",
    64: "tls_wrong_host",  # an address
}


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt went. `error` is None when the receiver took it, else a class of failure:

    `dns`, `ssrf_blocked`, `connect`, `timeout`, `reset`, `protocol`, `http_3xx`, `http_4xx`,
    `http_5xx`; of certificates `tls_expired`, `tls_wrong_host` and `tls_untrusted`, of TLS `tls`;
    `configuration` when we lack what it takes, `internal` when we failed in a way nobody foresaw.
    `truncated` says that the answer's body was not read to its end. `retry_after` is what the
    receiver asked for, in seconds.
    """

    started_at: datetime
    duration: float
    status: int | None = None
    error: str | None = None
    excerpt: str | None = None
    truncated: bool = False
    retry_after: float | None = None
    phases: Phases = field(default_factory=Phases)

    @classmethod
    def unsent(cls, error: str) -> "Result":
        """An attempt that came to nothing before anything was sent."""
        return cls(datetime.now(UTC), 0.0, error=error)

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.error is None

    @property
    def pause(self) -> float | None:
        """Seconds for which the receiver wants to be left alone; None when it said nothing."""
        return self.retry_after if self.status in THROTTLED else None


def signed_headers(
    own: Mapping[str, str],
    keys: Sequence[SigningKey],
    event_id: str,
    body: bytes,
    *,
    trace: Mapping[str, str],
) -> dict[str, str]:
    """The headers of a request; ours are written last, so that the customer's cannot win.

    The plain signature is by the newest shared secret, and left out where there is none.
    """
    timestamp = int(time.time())
    shared = next((key for key in keys if isinstance(key, bytes)), None)
    plain = {} if shared is None else {"X-Webhook-Signature": body_signature(shared, body)}
    return {
        **own,
        **trace,
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard_signature(keys, event_id, timestamp, body),
        **plain,
    }


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Signs what goes to an endpoint and hands it over, where egress allows it."""

    settings: WebhooksSettings
    egress: Egress

    async def send(
        self,
        session: aiohttp.ClientSession,
        destination: Destination,
        event_id: str,
        body: bytes,
        *,
        trace: Mapping[str, str],
    ) -> Result:
        """One attempt by the endpoint's live keys; never raises."""
        if not self.egress.allows_url(destination.url, plain_http=self.settings.plain_http):
            return Result.unsent("ssrf_blocked")
        keys = destination.keys(datetime.now(UTC))
        if not keys:
            log.error("endpoint_without_secret", endpoint=str(destination.id))
            return Result.unsent("configuration")
        headers = signed_headers(destination.headers, keys, event_id, body, trace=trace)
        timeout = self.settings.webhook_timeout_seconds
        return await post(session, destination.url, headers, body, timeout=timeout)


async def post(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout: float,
) -> Result:
    """POST once. `timeout` seconds cover everything from the name's look-up to the last byte.

    A 2xx status with complete headers is a success, whatever becomes of its body. Redirects are
    never followed: they would lead around the egress rule. Never raises: once a request may have
    left, it counts.
    """
    started_at, begun, phases = datetime.now(UTC), time.perf_counter(), Phases()
    status: int | None = None
    said: str | None = None
    truncated = False
    after: float | None = None
    error: str | None = None
    try:
        async with (
            asyncio.timeout(timeout),
            session.post(
                URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=phases,
            ) as response,
        ):
            phases.first_byte = time.perf_counter() - begun
            status = response.status
            after = schedule.retry_after(response.headers.get("Retry-After"))
            read = await _read(response)
            truncated = len(read) == MAX_BODY_BYTES and not response.content.at_eof()
            said = excerpt(read, headers, delivered=status // 100 == 2)
    except (aiohttp.ClientError, OSError, ValueError) as failure:
        error = _failure_class(failure)
    except Exception:
        log.exception("attempt_failed")
        error = "internal"
    if status is not None:
        error = None if status // 100 == 2 else f"http_{status // 100}xx"
    duration = time.perf_counter() - begun
    return Result(started_at, duration, status, error, said, truncated, after, phases)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body up to the limit; leaving more unread makes aiohttp close the connection."""
    body = bytearray()
    while len(body) < MAX_BODY_BYTES:
        chunk = await response.content.read(MAX_BODY_BYTES - len(body))
        if not chunk:
            break
        body += chunk
    return bytes(body)


def _failure_class(failure: BaseException) -> str:
    cause = getattr(failure, "os_error", failure)
    match cause:
        case ForbiddenAddressError():
            return "ssrf_blocked"
        case TimeoutError():
            return "timeout"
    match failure:
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientConnectorCertificateError(certificate_error=wrong):
            return _CERTIFICATE_FAULTS.get(getattr(wrong, "verify_code", 0), "tls_untrusted")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return "reset"
    return "protocol"

"""W3C trace context through HTTP, outbox rows and broker headers.

Spans are recorded only when an OTLP endpoint is configured; the context itself always travels, so
a chain can be followed by its ids in any case. What strangers send as such is looked at first
(`accepted`): headers and columns have room for a context, not for anything.
"""

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

from fastapi import FastAPI
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

HEADERS = ("traceparent", "tracestate")
# W3C Trace Context, sections 3.2 and 3.3: ids of zeros alone and version ff are invalid; a state
# that fits no further is dropped whole, not cut.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")

_tracer = trace.get_tracer("service_kit")
_recording = False


def configure(service: str, otlp_endpoint: str | None) -> None:
    """Export spans to the endpoint; without one, no exporter and no span cost."""
    global _recording  # noqa: PLW0603 - OpenTelemetry's provider is process-wide as well
    if not otlp_endpoint:
        return
    # Imported by those who export only: it takes 4 MB.
    from opentelemetry.exporter.otlp.proto.http import trace_exporter

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(_Chains(trace_exporter.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _recording = True
    _instrument()


class _Chains(BatchSpanProcessor):
    """Exports what belongs to a chain; a query that a loop asks every second belongs to none."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span unless it is a call outwards that nothing led to."""
        if span.parent is not None or span.kind is not SpanKind.CLIENT:
            super().on_end(span)


class _Instrumentor(Protocol):
    def instrument(self, **options: Any) -> None: ...


def _instrument() -> None:
    """Spans of queries and of HTTP calls, by OpenTelemetry's own instrumentations.

    Imported by those who export only. No values of queries, no query strings and no user of a URL
    reach a span.
    """
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor

    cast(type[_Instrumentor], AsyncPGInstrumentor)().instrument()
    AioHttpClientInstrumentor().instrument(
        url_filter=lambda url: str(url.with_query(None).with_fragment(None).with_user(None))
    )


def instrument_app(app: FastAPI) -> None:
    """Spans of the requests this application serves, while somebody takes them.

    WAHA's webhooks are left out: their paths are secrets, and the receiver has a span of its own.
    """
    if _recording:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            app, excluded_urls="/health,/metrics,/webhooks/waha/", exclude_spans=["receive", "send"]
        )


def is_recording() -> bool:
    """Whether spans are recorded: an exporter takes them."""
    return _recording


def shutdown() -> None:
    """Send what is still buffered."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def new_context() -> dict[str, str]:
    """A fresh trace for a chain that starts here and came with none."""
    return {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}


def accepted(headers: Mapping[str, Any]) -> dict[str, str]:
    """The W3C trace context among these headers of HTTP or AMQP, as far as it is well formed."""
    parent = str(headers.get("traceparent", ""))
    if not _TRACEPARENT.fullmatch(parent):
        return {}
    state = str(headers.get("tracestate", ""))
    if not _TRACESTATE.fullmatch(state):
        return {"traceparent": parent}
    return {"traceparent": parent, "tracestate": state}


def record(name: str, carriers: Iterable[Mapping[str, str]], seconds: float) -> None:
    """A span of each of these chains for work they shared, which took so long and ends now."""
    if not _recording:
        return
    ended = time.time_ns()
    begun = ended - int(seconds * 1e9)
    for carrier in carriers:
        parent = propagate.extract(dict(carrier))
        _tracer.start_span(name, context=parent, start_time=begun).end(ended)


def following(carrier: Mapping[str, str]) -> dict[str, str]:
    """The context for what follows from here: the current span's, else the carrier's own."""
    if not _recording:
        return dict(carrier)
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers or dict(carrier)


@contextmanager
def continued(carrier: Mapping[str, str]) -> Iterator[None]:
    """Spans begun within hang on the carrier's; an instrumentation then makes them."""
    if not _recording:
        yield
        return
    token = context.attach(propagate.extract(dict(carrier)))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def span(name: str, carrier: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """A span under the carrier's context; yields the context for what follows from it."""
    if not _recording:
        yield carrier
        return
    parent = propagate.extract(dict(carrier))
    with _tracer.start_as_current_span(name, context=parent):
        following: dict[str, str] = {}
        propagate.inject(following)
        yield following

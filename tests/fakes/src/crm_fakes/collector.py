"""An OpenTelemetry collector that remembers: spans as OTLP over HTTP brings them."""

from dataclasses import dataclass

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from crm_fakes.journal import Journal
from crm_fakes.serving import LocalServer


@dataclass(frozen=True)
class Span:
    """One hop. Ids are lower-case hex as in `traceparent`; `parent_id` is empty for a root."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: tuple[str, ...] = ()
    """The values of its attributes, as text."""


class TraceCollector(LocalServer):
    """Takes `POST /v1/traces`: `async with TraceCollector() as collector: collector.spans`."""

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1") -> None:
        super().__init__(host, port)
        self.spans: Journal[Span] = Journal()

    def build_app(self) -> web.Application:
        """Return the collector."""
        app = web.Application(client_max_size=self.max_body)
        app.add_routes([web.post("/v1/traces", self._receive)])
        return app

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace so far."""
        return [span for span in self.spans if span.trace_id == trace_id]

    async def _receive(self, request: web.Request) -> web.Response:
        exported = ExportTraceServiceRequest.FromString(await request.read())
        for resource in exported.resource_spans:
            attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Span(
                            attributes.get("service.name", ""),
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            tuple(a.value.string_value for a in span.attributes),
                        )
                    )
        return web.Response()

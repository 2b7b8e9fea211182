"""FastStream's telemetry and Prometheus middlewares, told how to read a batch.

Spans and metrics of the bus are named after exchange and routing key, both closed sets. Where the
key is open (WAHA's event names, a reply queue's name) the exchange stands alone.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from aio_pika import IncomingMessage
from faststream.message import StreamMessage
from faststream.opentelemetry import TelemetryMiddleware
from faststream.prometheus import ConsumeAttrs, PrometheusMiddleware
from faststream.rabbit import RabbitPublishCommand
from opentelemetry.semconv.trace import SpanAttributes
from prometheus_client import REGISTRY
from shared_events import topology

from service_kit import tracing

_OPEN_KEYS = frozenset({"", topology.WAHA_EVENTS.name, topology.CRM_REPLIES.name})
_SIZE_BUCKETS = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)

Message = StreamMessage[IncomingMessage | tuple[IncomingMessage, ...]]


def middlewares() -> Sequence[Any]:
    """What every broker of the process carries; spans only while somebody takes them."""
    return (_spans(), _metrics()) if tracing.is_recording() else (_metrics(),)


@cache
def _spans() -> TelemetryMiddleware[RabbitPublishCommand]:
    return TelemetryMiddleware(settings_provider_factory=lambda _: SpanSettings())


@cache
def _metrics() -> PrometheusMiddleware[Any, RabbitPublishCommand]:
    return PrometheusMiddleware(
        settings_provider_factory=lambda _: MetricSettings(),
        registry=REGISTRY,
        metrics_prefix="crm_bus",
        received_messages_size_buckets=_SIZE_BUCKETS,
    )


class MetricSettings:
    """What metrics say of a message, a batch or a publication."""

    messaging_system = "rabbitmq"

    def get_consume_attrs_from_message(self, msg: Message) -> ConsumeAttrs:
        """Where it came from, how large, how many."""
        messages = _messages(msg)
        return {
            "destination_name": _origin(messages),
            "message_size": sum(len(m.body) for m in messages),
            "messages_count": len(messages),
        }

    def get_publish_destination_name_from_cmd(self, cmd: RabbitPublishCommand) -> str:
        """Where it goes."""
        return _place(cmd.exchange.name, cmd.destination)


class SpanSettings:
    """What spans say of a message, a batch or a publication."""

    messaging_system = "rabbitmq"

    def get_consume_destination_name(self, msg: Message) -> str:
        """Where it came from."""
        return _origin(_messages(msg))

    def get_consume_attrs_from_message(self, msg: Message) -> dict[str, Any]:
        """How large, how many."""
        messages = _messages(msg)
        return {
            SpanAttributes.MESSAGING_SYSTEM: self.messaging_system,
            SpanAttributes.MESSAGING_DESTINATION_NAME: _origin(messages),
            SpanAttributes.MESSAGING_MESSAGE_PAYLOAD_SIZE_BYTES: sum(len(m.body) for m in messages),
            SpanAttributes.MESSAGING_BATCH_MESSAGE_COUNT: len(messages),
        }

    def get_publish_destination_name(self, cmd: RabbitPublishCommand) -> str:
        """Where it goes."""
        return _place(cmd.exchange.name, cmd.destination)

    def get_publish_attrs_from_cmd(self, cmd: RabbitPublishCommand) -> dict[str, Any]:
        """What is published, and under which key."""
        return {
            SpanAttributes.MESSAGING_SYSTEM: self.messaging_system,
            SpanAttributes.MESSAGING_DESTINATION_NAME: cmd.exchange.name,
            SpanAttributes.MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY: cmd.destination,
        }


def _messages(msg: Message) -> Sequence[IncomingMessage]:
    raw = msg.raw_message
    return raw if isinstance(raw, tuple) else (raw,)


def _origin(messages: Sequence[IncomingMessage]) -> str:
    return _place(messages[0].exchange or "", messages[0].routing_key or "")


def _place(exchange: str, key: str) -> str:
    return (exchange or "default") if exchange in _OPEN_KEYS else f"{exchange}.{key}"

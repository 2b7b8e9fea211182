"""Structured logs: one JSON object per line, one place that hides what must not be in them."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_HIDDEN = "[hidden]"
_PRIVATE_KEYS = re.compile(
    r"(phone|content|text|body|push_name|email|password|secret|token|authorization|api_key|dsn)$"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+:[^/\s@]*(?=@)")
_PHONE = re.compile(r"\+?\d{10,15}(?=@(?:c\.us|lid|s\.whatsapp\.net))|\+\d{10,15}\b")


def _hide(value: Any) -> Any:
    if isinstance(value, str):
        return _PHONE.sub(_HIDDEN, _CREDENTIALS.sub(_HIDDEN, value))
    if isinstance(value, dict):
        return {k: _HIDDEN if _PRIVATE_KEYS.search(str(k)) else _hide(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(item) for item in value]
    return value


def redact(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide phones, texts, tokens and passwords, whatever library logged them."""
    del logger, method
    for key, value in event_dict.items():
        event_dict[key] = _HIDDEN if _PRIVATE_KEYS.search(key) else _hide(value)
    return event_dict


def configure(service: str, level: str, *, human: bool) -> None:
    """Route structlog and the standard library's logging to stdout; `human` for a terminal."""

    def name_service(
        logger: Any, method: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        del logger, method
        event_dict["service"] = service
        return event_dict

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        name_service,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if human
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # before redact: tracebacks quote values
                redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.access", "aio_pika", "aiormq", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for propagating in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(propagating).handlers = []
        logging.getLogger(propagating).propagate = True

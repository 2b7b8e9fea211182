"""How long each phase of an attempt took: what a customer asks first of a slow endpoint."""

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp


@dataclass(slots=True)
class Phases:
    """Seconds. None is for what did not happen: a kept connection needs no name and no handshake.

    `connect` has TLS in it; `first_byte` is from the beginning until the answer's headers.
    """

    dns: float | None = None
    connect: float | None = None
    first_byte: float | None = None


def tracing() -> aiohttp.TraceConfig:
    """Fills in the `Phases` that a request was given as its `trace_request_ctx`."""
    trace = aiohttp.TraceConfig()
    trace.on_dns_resolvehost_start.append(_resolving)
    trace.on_dns_resolvehost_end.append(_resolved)
    trace.on_connection_create_start.append(_connecting)
    trace.on_connection_create_end.append(_connected)
    return trace


async def _resolving(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.resolving = time.perf_counter()


async def _resolved(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.trace_request_ctx.dns = time.perf_counter() - context.resolving


async def _connecting(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    context.connecting = time.perf_counter()


async def _connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    phases: Phases = context.trace_request_ctx
    phases.connect = time.perf_counter() - context.connecting - (phases.dns or 0.0)

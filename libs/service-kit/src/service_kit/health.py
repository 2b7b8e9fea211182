"""Health of a process: alive, ready, and what it depends on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service_kit import metrics

log = structlog.get_logger()

Status = Literal["healthy", "degraded", "unhealthy"]
_SEVERITY: dict[Status, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}
_CACHE_SECONDS = 1.0
_CHECK_SECONDS = 1.5

Check = Callable[[], Awaitable[None]]
"""Returns when the dependency works, raises when it does not."""


@dataclass(slots=True)
class Health:
    """The checks of one process. A soft one can only degrade; the worst severity wins."""

    service: str
    draining: bool = False
    _checks: dict[str, tuple[Check, Status]] = field(default_factory=dict)
    _tolerated: set[str] = field(default_factory=set)
    _cached: tuple[float, Status, dict[str, dict[str, object]]] | None = None

    def require(self, name: str, check: Check) -> None:
        """A hard dependency: without it the process is unhealthy and not ready."""
        self._checks[name] = (check, "unhealthy")

    def tolerate(self, name: str) -> None:
        """Without this hard dependency the process is unhealthy, but still takes traffic."""
        self._tolerated.add(name)

    def prefer(self, name: str, check: Check) -> None:
        """A soft dependency: without it the process is degraded and still ready."""
        self._checks[name] = (check, "degraded")

    async def status(self) -> tuple[Status, dict[str, dict[str, object]]]:
        """The worst severity and each check; at most a second old, so probes are no load."""
        if self._cached and time.monotonic() - self._cached[0] < _CACHE_SECONDS:
            return self._cached[1], self._cached[2]
        names = list(self._checks)
        failures = await asyncio.gather(*(self._run(name) for name in names))
        worst: Status = "healthy"
        checks: dict[str, dict[str, object]] = {}
        for name, failure in zip(names, failures, strict=True):
            severity: Status = "healthy" if failure is None else self._checks[name][1]
            worst = max(worst, severity, key=_SEVERITY.__getitem__)
            checks[name] = {"healthy": failure is None, "message": failure or "Connected"}
        self._cached = (time.monotonic(), worst, checks)
        return worst, checks

    async def ready(self) -> bool:
        """Whether traffic should come: not draining, and nothing it cannot do without is away."""
        _, checks = await self.status()
        return not self.draining and all(
            checks[name]["healthy"]
            for name, (_, severity) in self._checks.items()
            if severity == "unhealthy" and name not in self._tolerated
        )

    async def _run(self, name: str) -> str | None:
        """None, or a message that gives away no host, user or password."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._checks[name][0]()
        except Exception as error:
            log.debug("health_check_failed", check=name, error=repr(error))
            return f"Unavailable ({type(error).__name__})"
        return None


def router(health: Health) -> APIRouter:
    """`/health`, `/health/live`, `/health/ready` and `/metrics`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/health")
    async def overall() -> Response:
        status, checks = await health.status()
        return JSONResponse(
            {"status": status, "service": health.service, "checks": checks},
            status_code=503 if status == "unhealthy" else 200,
        )

    @routes.get("/health/live")
    async def live() -> Response:
        return JSONResponse({"status": "healthy", "checks": {}})

    @routes.get("/health/ready")
    async def ready() -> Response:
        _, checks = await health.status()
        takes_traffic = await health.ready()
        return JSONResponse(
            {
                "status": "healthy" if takes_traffic else "unhealthy",
                "draining": health.draining,
                "checks": checks,
            },
            status_code=200 if takes_traffic else 503,
        )

    @routes.get("/metrics")
    async def exported() -> Response:
        _, checks = await health.status()
        for name, check in checks.items():
            metrics.HEALTH_CHECK.labels(name).set(bool(check["healthy"]))
        metrics.READY.set(await health.ready())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes

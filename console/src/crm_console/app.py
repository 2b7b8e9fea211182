"""The console's process: pages, health, and one client of the gateway."""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from service_kit import logs
from service_kit.environment import load
from service_kit.health import Health
from service_kit.health import router as health_router
from service_kit.http_bounds import BoundedHttp
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from crm_console import (
    account,
    api_keys,
    board,
    channels,
    company,
    composer,
    contacts,
    inbox,
    journeys,
    live,
    login_pages,
    media,
    messages,
    pages,
    passwords,
    proofs,
    reports,
    roles,
    scheduled,
    sessions,
    team,
    thread,
    webhooks,
)
from crm_console.gateway import Gateway, RefusedError
from crm_console.logins import Cookies, LoggedOutError, Renewals
from crm_console.middleware import Bounded, LoggedIn, Shielded
from crm_console.settings import ConsoleSettings

_STATIC = Path(__file__).parent / "static"
_PAGES = (
    *(
        login_pages,
        passwords,
        proofs,
        account,
        inbox,
        thread,
        composer,
        scheduled,
        messages,
        sessions,
        contacts,
    ),
    *(media, journeys),
    *(board, channels, webhooks, reports),
    *(team, roles, api_keys, company, live),
)
_CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=50)
_FORM_BYTES = 2**17
"""The longest text has 4,096 characters, each of at most 12 bytes in a form."""
_FILES = re.compile(r"/conversations/[^/]+/files")
_STOP_SECONDS = 3
"""Open pages' streams are cut then; pages come back to another process."""


def create_console(settings: ConsoleSettings) -> FastAPI:
    """The application; it connects to nothing before it is asked for something."""
    http = httpx.AsyncClient(base_url=settings.gateway_url, timeout=15, limits=_CONNECTIONS)
    gateway = Gateway(http)
    health = Health("console")
    health.prefer("gateway", gateway.ready)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        health.draining = True
        await http.aclose()

    app = FastAPI(openapi_url=None, lifespan=lifespan)
    app.state.gateway, app.state.renewals = gateway, Renewals(gateway)
    for module in _PAGES:
        app.include_router(module.router)
    app.include_router(health_router(health))
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.add_middleware(Bounded, limit=_FORM_BYTES, but=_FILES)
    app.add_middleware(LoggedIn, cookies=Cookies(settings.seal), secure=settings.is_production)
    app.add_middleware(Shielded, files_origin=settings.files_origin)
    app.add_exception_handler(LoggedOutError, _logged_out)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    return app


async def _logged_out(request: Request, _: Exception) -> Response:
    return pages.to_login(request)


async def _refused(request: Request, error: Exception) -> Response:
    match error:
        case RefusedError(status=401):
            return pages.to_login(request)
        case RefusedError(code="email_unverified"):
            return pages.to(request, "/verify-email")
        case RefusedError(code="two_factor_required_by_company"):
            return pages.to(request, "/account")
        case RefusedError():
            return pages.refused(request, error)
        case HTTPException():
            refusal = RefusedError(error.status_code, f"status_{error.status_code}", error.detail)
        case _:
            refusal = RefusedError(422, "invalid", "The form cannot be understood.")
    return pages.refused(request, refusal)


def main() -> None:
    """`crm-console`: serve until told to stop; exits with a reason when it cannot."""
    settings = load(ConsoleSettings)
    logs.configure("console", settings.log_level, human=sys.stdout.isatty())
    uvicorn.run(
        create_console(settings),
        host=settings.server_host,
        port=settings.server_port,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )

"""`POST /api/v1/webhooks/waha/{channel_token}`: the hottest route.

It sits in front of the framework's routing and looks nothing up: the token proves itself and the
key follows from it.
"""

from collections.abc import Sequence

from prometheus_client import Counter
from service_kit import tracing
from service_kit.database import is_infrastructure
from service_kit.errors import ProblemError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_gateway.body import Bodies, Room
from crm_gateway.ingress.spool import Spool
from crm_gateway.ingress.webhook import Sources, Webhook, check_signature, read_webhook
from crm_gateway.problems.edge import problem_response, request_id, trace_context
from crm_gateway.problems.errors import HttpError, method_not_allowed, of_error
from crm_gateway.rest.table import PREFIX

_PATH = f"{PREFIX}/webhooks/waha/"
RECEIVED = Counter("crm_ingress_webhooks_total", "WAHA webhooks received", ["outcome"])
_ACCEPTED = b'{"status":"accepted"}'


class WahaReceiver:
    """ASGI middleware: accepts authentic webhooks once they are durable, refuses all others.

    Every other path goes on to the application.
    """

    def __init__(self, app: ASGIApp, *, master_keys: Sequence[str], spool: Spool) -> None:
        self._app = app
        self._sources = Sources(*master_keys)
        self._spool = spool
        self._bodies = Bodies()  # its own: no other caller takes the room of webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"] if scope["type"] == "http" else ""
        token = path.removeprefix(_PATH)
        if token == path or not token or "/" in token:
            await self._app(scope, receive, send)
            return
        try:
            async with self._bodies.room() as room:
                response = await self._accept(Request(scope, receive), token, room)
            outcome = "accepted"
        except ClientDisconnect:
            return
        except ProblemError as error:
            response, outcome = problem_response(scope, of_error(error)), error.problem.code
        except HttpError as error:
            response, outcome = problem_response(scope, error), error.code
        RECEIVED.labels(outcome).inc()
        await response(scope, receive, send)

    async def _accept(self, http: Request, token: str, room: Room) -> Response:
        if http.method != "POST":
            raise method_not_allowed(["POST"])
        source = self._sources.find(token)
        body = await room.read(http, str(source.address.tenant_id))
        check_signature(
            source.hmac_key,
            body,
            signature=http.headers.get("x-webhook-hmac"),
            algorithm=http.headers.get("x-webhook-hmac-algorithm"),
        )
        with tracing.span("receive WAHA webhook", trace_context(http.headers)) as trace:
            await self._keep(
                read_webhook(source.address, body, request_id=request_id(http.scope), trace=trace)
            )
        return Response(_ACCEPTED, media_type="application/json")

    async def _keep(self, webhook: Webhook) -> None:
        try:
            await self._spool.accept(webhook)
        except Exception as error:
            if not is_infrastructure(error):
                raise
            raise HttpError(
                503,
                "nothing_durable",
                "Neither the broker nor the database is there; send it again.",
                headers={"Retry-After": "5"},
            ) from error

"""Whom the gateway refuses when it is asked for more than it can do (docs/adr/0039).

Work that is begun makes everything else in the process later, WAHA's webhooks too. What is refused
here is neither authenticated nor read, and costs a tenth of what an answer costs.
"""

import time
from collections import OrderedDict
from typing import NamedTuple

from prometheus_client import Counter
from service_kit.errors import UnavailableError
from service_kit.lag import Lag
from service_kit.shares import Shares
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_gateway.auth.throttle import network_of
from crm_gateway.problems.edge import problem_response
from crm_gateway.problems.errors import of_error
from crm_gateway.rest.table import PREFIX

SHED = Counter("crm_http_requests_shed_total", "REST requests refused because too many are in hand")
LATE_SECONDS = 0.2
"""From here on the event loop is late: what waits is waiting for us."""
IN_HAND = 1024
"""Requests that wait for others, for what a service or the database takes; memory is the limit."""
IN_HAND_LATE = 256
"""Requests that wait for us: some 0.8 s of work, which is how much later a webhook is for them.

One address alone has half of them: what one application asks at once is not to be refused for it.
"""
AGAIN_SECONDS = 0.25
"""How long who was told that a service is away or has no room for them is told so again, unread.
`Retry-After` said more."""
_CREDENTIALS = (b"authorization", b"x-api-key")
_UUID_CHARACTERS = 36

_Asking = tuple[bytes, str, bytes, tuple[str, ...]]
"""A credential, the method, the query and the path without its ids: who wants to do what. Whether
they may is the same for all of it."""


class _Told(NamedTuple):
    """What somebody was told, until when they are told so again, and of which route it is."""

    until: float
    refusal: UnavailableError
    route: object


class Admission:
    """ASGI middleware: a concurrency limit, low while the event loop is late.

    Addresses share it (`Shares`): nobody is known yet by anything else. A request is in hand until
    its answer begins, so streams and downloads that go on for long do not count. Whatever is no
    REST goes by.

    That a service has no room for somebody, or is away, is known only once their request was read,
    which costs half of what an answer costs. So it is remembered for a moment, and most of what is
    asked in vain is never read.
    """

    def __init__(self, app: ASGIApp, *, lag: Lag) -> None:
        self._app = app
        self._lag = lag
        self._in_hand = Shares()
        self._told: OrderedDict[_Asking, _Told] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        whose = network_of(scope["client"][0]) if scope["client"] else ""
        asking = _asking(scope)
        if told := self._told_just_now(asking):
            scope["route"] = told.route  # it fails no less for not being asked
            await _refuse(told.refusal, scope, receive, send)
            return
        if not self._has_room(whose):
            SHED.inc()
            busy = UnavailableError("too_busy", "Too many requests are waiting; try again shortly.")
            await _refuse(busy, scope, receive, send)
            return
        self._in_hand.take(whose)
        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            if not answered:
                answered = True
                self._in_hand.give_back(whose)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except UnavailableError as error:
            if asking is not None:
                self._told.pop(asking, None)  # it is the last to be forgotten
                until = time.monotonic() + AGAIN_SECONDS
                self._told[asking] = _Told(until, error, scope.get("route"))
            raise
        finally:
            if not answered:
                self._in_hand.give_back(whose)

    def _told_just_now(self, asking: _Asking | None) -> _Told | None:
        """What they were told, if they were; what was told long ago is forgotten."""
        now = time.monotonic()
        while self._told and next(iter(self._told.values())).until < now:
            self._told.popitem(last=False)
        return self._told.get(asking) if asking is not None else None

    def _has_room(self, whose: str) -> bool:
        most = IN_HAND if self._lag.seconds < LATE_SECONDS else IN_HAND_LATE
        return self._in_hand.has_room(whose, most)


async def _refuse(why: UnavailableError, scope: Scope, receive: Receive, send: Send) -> None:
    await problem_response(scope, of_error(why))(scope, receive, send)


def _asking(scope: Scope) -> _Asking | None:
    """Who asks for what, as far as a glance tells; None for nobody."""
    for name, value in scope["headers"]:
        if name in _CREDENTIALS:
            parts = scope["path"].split("/")
            kind = tuple(part for part in parts if len(part) != _UUID_CHARACTERS)
            return value, scope["method"], scope["query_string"], kind
    return None

"""Who asks: a browser with or without a login, its words, and its way to the gateway."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from shared_events.permissions import permits

from crm_console.gateway import Caller, Gateway
from crm_console.logins import LoggedOutError, Login, Renewals
from crm_console.words import Words, words


@dataclass(frozen=True)
class Me:
    """Who is logged in, as `GET /auth/me` says."""

    id: str
    name: str
    company: str
    permissions: tuple[str, ...]

    def may(self, permission: str) -> bool:
        """Whether the gateway would let me; it decides by itself all the same."""
        return permits(self.permissions, permission)


def gateway(request: Request) -> Gateway:
    """The gateway of this process."""
    return cast(Gateway, request.app.state.gateway)


def address(request: Request) -> dict[str, str]:
    """For whom the console asks, as a proxy says it: the gateway counts logins by address."""
    here = request.client.host if request.client else ""
    before = request.headers.get("x-forwarded-for")
    return {"X-Forwarded-For": f"{before}, {here}" if before else here}


async def caller(request: Request) -> Caller:
    """The gateway in the name of who is logged in; raises LoggedOutError when nobody is."""
    login = cast(Login | None, request.state.login)
    if login is None:
        raise LoggedOutError
    renewals = cast(Renewals, request.app.state.renewals)
    login = request.state.login = await renewals.fresh(login, address(request))
    bearer = {"Authorization": f"Bearer {login.access_token}"}
    return Caller(gateway(request), {**address(request), **bearer})


async def me(crm: Annotated[Caller, Depends(caller)]) -> Me:
    """Who is logged in."""
    profile = await crm.get("/auth/me")
    user = profile["user"]
    return Me(user["id"], user["name"], profile["tenant"]["name"], tuple(profile["permissions"]))


Crm = Annotated[Caller, Depends(caller)]
Myself = Annotated[Me, Depends(me)]
Said = Annotated[Words, Depends(words)]

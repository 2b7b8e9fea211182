"""A company to log in to at once: `crm-dev up --company` makes it, in the native stack alone.

Its number is connected to the simulator, which forgets its sessions when it stops: so each start
pairs it anew. What people changed since, the password too, is theirs.
"""

from typing import Any

import httpx

from crm_dev import waiting
from crm_dev.state import Addresses

EMAIL = "ana@loja.example"
SESSION = "loja-exemplo"
_WAHA_KEY = "waha-api-key"
_CONNECT_SECONDS = 60.0


def prepare(addresses: Addresses, password: str) -> str:
    """Make the company and connect its number; returns what people should be told of it."""
    try:
        with httpx.Client(base_url=f"{addresses.gateway_url}/api/v1", timeout=15) as crm:
            answer = _enter(crm, password)
            if answer.is_error:
                return f"{EMAIL}, with the password it was given ({answer.status_code})"
            crm.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            connected = _connect(crm, addresses.waha_url)
    except httpx.HTTPError as error:
        return f"none: {error}"
    return f"{EMAIL}  {password}{'' if connected else '  (its number is not connected)'}"


def _enter(crm: httpx.Client, password: str) -> httpx.Response:
    who = {"email": EMAIL, "password": password}
    joining = {**who, "name": "Ana Souza", "organization": "Loja Exemplo"}
    joined = crm.post("/auth/register", json=joining)
    return crm.post("/auth/login", json=who) if joined.status_code == 409 else joined


def _connect(crm: httpx.Client, waha: str) -> bool:
    """Pair the number; False when nobody could within a minute."""
    channel = _channel(crm, waha)
    path, scan = f"/channels/{channel['id']}", f"{waha}/_control/sessions/{SESSION}/scan"
    crm.post(f"{path}/start").raise_for_status()

    def connected() -> bool:
        # There is no session until the channel has begun one, and what it was says nothing.
        if httpx.post(scan, json={}).is_error:
            return False
        now: str = crm.get(path).raise_for_status().json()["status"]
        return now == "connected"

    return waiting.until(connected, _CONNECT_SECONDS)


def _channel(crm: httpx.Client, waha: str) -> dict[str, Any]:
    """The channel of the simulator's session, whatever others people added since."""
    where = {"base_url": waha, "session": SESSION}
    found = crm.get("/channels", params={"limit": 100}).raise_for_status().json()["data"]
    ours: list[dict[str, Any]] = [channel for channel in found if channel["waha"] == where]
    if ours:
        return ours[0]
    new = {"name": "Vendas", "type": "waha", "waha": where | {"api_key": _WAHA_KEY}}
    made: dict[str, Any] = crm.post("/channels", json=new).raise_for_status().json()
    return made

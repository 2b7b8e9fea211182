"""A company to log in to at once: `crm-dev up --company` makes it, in the native stack alone.

Its number is connected to the simulator, which forgets its sessions when it stops: so each start
pairs it anew. What people changed since, the password too, is theirs.
"""

import time
from typing import Any

import httpx

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
    patient_until = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < patient_until:
        paired = httpx.post(scan, json={})  # there is no session until the channel has begun one
        now = crm.get(path).raise_for_status().json()
        if paired.is_success and now["status"] == "connected":
            return True
        time.sleep(0.2)
    return False


def _channel(crm: httpx.Client, waha: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = crm.get("/channels").raise_for_status().json()["data"]
    if found:
        return found[0]
    where = {"base_url": waha, "api_key": _WAHA_KEY, "session": SESSION}
    new = {"name": "Vendas", "type": "waha", "waha": where}
    made: dict[str, Any] = crm.post("/channels", json=new).raise_for_status().json()
    return made

"""The company that `make up` has ready: people log in at once, and customers can write."""

import asyncio

import httpx
from crm_dev import company
from crm_dev.state import Addresses

from e2e.crm import eventually
from e2e.stack import Platform

PASSWORD = "as-make-up-prints-it"


async def test_is_there_at_every_start_and_stays_its_own(platform: Platform) -> None:
    addresses = Addresses(gateway_url=platform.gateway_url, waha_url=platform.url("waha-sim"))
    told = await asyncio.to_thread(company.prepare, addresses, PASSWORD)
    assert told == f"{company.EMAIL}  {PASSWORD}"

    async with httpx.AsyncClient(base_url=f"{platform.gateway_url}/api/v1", timeout=30) as crm:
        who = {"email": company.EMAIL, "password": PASSWORD}
        login = (await crm.post("/auth/login", json=who)).json()
        crm.headers["Authorization"] = f"Bearer {login['access_token']}"
        where = {"base_url": addresses.waha_url, "api_key": "x", "session": "another"}
        added = {"name": "Suporte", "type": "waha", "waha": where}
        assert (await crm.post("/channels", json=added)).status_code == 201
        told = await asyncio.to_thread(company.prepare, addresses, PASSWORD)
        assert told == f"{company.EMAIL}  {PASSWORD}"
        told = await asyncio.to_thread(company.prepare, addresses, "not-its-password")
        assert "not-its-password" not in told and "the password it was given" in told
        numbers = (await crm.get("/channels")).json()["data"]
        assert {one["name"]: one["status"] for one in numbers} == {
            "Vendas": "connected",
            "Suporte": "created",
        }
        written = f"{addresses.waha_url}/_control/sessions/{company.SESSION}/receive"
        text = {"from_phone": "5511988880001", "push_name": "Maria", "text": "Oi!"}
        assert (await crm.post(written, json=text)).status_code == 201

        async def heard() -> bool:
            rows = (await crm.get("/conversations")).json()["data"]
            return [row["last_message"]["preview"] for row in rows] == ["Oi!"]

        await eventually(heard, "what the customer wrote")
    nowhere = Addresses(gateway_url="http://127.0.0.1:9")
    assert (await asyncio.to_thread(company.prepare, nowhere, PASSWORD)).startswith("none: ")

"""A console before a double of the gateway, and a browser without JavaScript."""

from collections.abc import AsyncIterator

import httpx
import pytest
from bs4 import BeautifulSoup
from crm_console.app import create_console
from crm_console.settings import ConsoleSettings
from fastapi import FastAPI

from console.tests.double import Double

ORIGIN = "http://console.example.com"
PASSWORD = "uma senha comprida"
OWN = {"Sec-Fetch-Site": "same-origin"}


class Browser(httpx.AsyncClient):
    """Keeps cookies, says where its requests come from, and reads what it gets."""

    async def read(self, path: str) -> BeautifulSoup:
        """A page, or a part of one."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return BeautifulSoup(answer.text, "html.parser")

    async def log_in(self, password: str = PASSWORD, code: str = "") -> httpx.Response:
        form = {"email": "ana@example.com", "password": password, "code": code}
        return await self.post("/login", data=form)


def attribute(page: BeautifulSoup, selector: str, name: str) -> str:
    """An attribute of the first element that fits."""
    found = page.select_one(selector)
    assert found is not None, f"no {selector} in {page}"
    return str(found[name])


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    async with Double() as gateway:
        yield gateway


@pytest.fixture
async def console(double: Double) -> AsyncIterator[FastAPI]:
    app = create_console(ConsoleSettings(crm_env="test", gateway_url=double.url))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def stranger(console: FastAPI) -> AsyncIterator[Browser]:
    transport = httpx.ASGITransport(console, client=("203.0.113.9", 4711))
    headers = {**OWN, "Accept-Language": "en-GB,en;q=0.9"}
    async with Browser(transport=transport, base_url=ORIGIN, headers=headers) as client:
        yield client


@pytest.fixture
async def browser(stranger: Browser) -> Browser:
    """Logged in."""
    answer = await stranger.log_in()
    assert answer.status_code == 303, answer.text
    return stranger

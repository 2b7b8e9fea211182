"""Who sits before a browser: a company's people at the console, its customers at the simulator."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from e2e.crm import PASSWORD, Tenant, eventually
from e2e.stack import Platform
from playwright.async_api import Browser, BrowserContext, Page

SIMULATOR_KEY = "waha-api-key"


class Company:
    """A company with one number; `session` is its name at the simulator."""

    def __init__(self, platform: Platform, chromium: Browser, tenant: Tenant) -> None:
        self.platform = platform
        self.tenant = tenant
        self.session = f"s-{uuid4().hex[:8]}"
        self.channel: dict[str, Any] = {}
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []

    async def connect(self) -> None:
        """Connect a number and pair it."""
        waha = {"base_url": self.simulator, "api_key": SIMULATOR_KEY, "session": self.session}
        channel = {"name": "Vendas", "type": "waha", "waha": waha}
        self.channel = await self.tenant.post("/channels", channel)
        path = f"/channels/{self.channel['id']}"
        await self.tenant.post(f"{path}/start", expect=200)

        async def connected() -> bool:
            await self.tenant.http.post(self._control("scan"), json={})  # there may be none yet
            return bool((await self.tenant.get(path))["status"] == "connected")

        await eventually(connected, "connected number", every=0.3)

    @property
    def simulator(self) -> str:
        """Where WhatsApp is."""
        return self.platform.url("waha-sim")

    @property
    def console(self) -> str:
        """Where the inbox is."""
        return self.platform.url("console")

    def _control(self, act: str) -> str:
        return f"{self.simulator}/_control/sessions/{self.session}/{act}"

    async def control(self, act: str, **fields: Any) -> Any:
        """Let something happen on WhatsApp, such as `receive`; returns what it made."""
        answer = await self.tenant.http.post(self._control(act), json=fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def written_by(self, phone: str, name: str, text: str) -> str:
        """A customer writes; returns the conversation's id, once there is one."""
        await self.control("receive", from_phone=phone, push_name=name, text=text)

        async def stored() -> str | None:
            rows = await self.tenant.rows("/conversations", search=name)
            last = [row["id"] for row in rows if row["last_message"]["preview"] == text]
            return last[0] if last else None

        return await eventually(stored, f"conversation with {name}")

    async def agent(self, name: str, role: str = "agent") -> str:
        """Somebody more who works here; returns their e-mail."""
        email = f"{uuid4().hex[:8]}@example.com"
        who = {"name": name, "email": email, "role": role, "password": PASSWORD}
        await self.tenant.post("/agents", who)
        return email

    async def page(self, **settings: Any) -> Page:
        """A browser of somebody's own, without a login."""
        context = await self._chromium.new_context(**{"locale": "en-GB", **settings})
        self._contexts.append(context)
        return await context.new_page()

    async def desk(self, email: str = "", path: str = "/", **settings: Any) -> Page:
        """The console as one of the company's people sees it; Ana, unless somebody is named."""
        page = await self.page(**settings)
        await page.goto(f"{self.console}/login")
        await page.get_by_label("E-mail").fill(email or self.tenant.email)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button").filter(has_text="Log in").click()
        await page.wait_for_url(f"{self.console}/")
        if path != "/":
            await page.goto(f"{self.console}{path}")
        return page

    async def phone(self, number: str, name: str) -> Page:
        """Somebody's phone: the simulator's page."""
        page = await self.page()
        chat = f"{number}@c.us"
        who = {"session": self.session, "phone": number, "name": name, "chat": chat}
        await page.goto(f"{self.simulator}/?{urlencode(who)}")
        return page

    async def leave(self) -> None:
        """Close all browsers."""
        for context in self._contexts:
            await context.close()
        await self.tenant.http.aclose()

"""One platform and one Chromium for all; a company, with a number and people, for each test."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from e2e.crm import Tenant
from e2e.stack import Platform, running_platform
from playwright.async_api import Browser, async_playwright, expect

from browser.people import Company

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 60_000
"""No journey measures the machine it runs on."""


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A whole platform of its own, or the one whose CRM_DEV_DIR is BROWSER_PLATFORM."""
    if running := os.environ.get("BROWSER_PLATFORM"):
        yield Platform(Path(running), 8080)
        return
    async with running_platform(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def program() -> str:
    """The path of Chromium, Debian's or whose else this machine has."""
    found = [ROOT / "tools" / "chromium"]
    return subprocess.run(found, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
async def chromium(program: str) -> AsyncIterator[Browser]:
    """A browser; each of its contexts is somebody's own."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def company(platform: Platform, chromium: Browser) -> AsyncIterator[Company]:
    """A company whose admin is Ana, and whose number is connected to the simulator."""
    tenant = await Tenant(platform.gateway_url).register()
    ours = Company(platform, chromium, tenant)
    await ours.connect()
    yield ours
    await ours.leave()


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure where people see it, also when all goes well."""

    def shown(figure: str) -> None:
        with capfd.disabled():
            sys.stdout.write(f"\n{figure}\n")

    return shown


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder that continuous integration keeps."""
    folder = ROOT / ".dev" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder

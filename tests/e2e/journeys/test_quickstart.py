"""What the pages for newcomers tell them to type, typed."""

import asyncio
import re
from pathlib import Path

import httpx
from crm_dev import company

from e2e.crm import Json, eventually
from e2e.stack import Platform

ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"^```(?:bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: str, heading: str = "") -> list[str]:
    """The commands of a page's section."""
    text = (ROOT / page).read_text()
    section = text.partition(heading)[2].partition("\n## ")[0] if heading else text
    return COMMAND.findall(section)


async def typed(platform: Platform, *commands: str) -> str:
    """What a shell says to these, where the platform's addresses are others than the usual ones."""
    script = "\n".join(["set -eu", *commands])
    for usual, address in (
        ("http://127.0.0.1:8080", platform.gateway_url),
        ("http://127.0.0.1:8098", platform.url("waha-sim")),
    ):
        script = script.replace(usual, address)
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, (said + complained).decode()
    return said.decode()


class TestQuickStart:
    async def test_leads_to_an_answer_on_the_phone_in_five_commands(
        self, platform: Platform
    ) -> None:
        start, *others = commands("docs/quickstart.md")
        assert (start, len(others)) == ("make up\n", 4)
        assert company.EMAIL not in others[0]  # `make up` has registered her
        assert '"status":"queued"' in await typed(platform, *others)

        async def answered() -> Json | None:
            async with httpx.AsyncClient(base_url=platform.url("waha-sim")) as whatsapp:
                sent: list[Json] = (await whatsapp.get("/_control/sent")).json()
            return next((each for each in sent if each["text"] == "Entregamos sim!"), None)

        answer = await eventually(answered, "answer on Maria's phone")
        assert (answer["chat"], answer["times"]) == ("5511988880001@c.us", 1)


class TestReadme:
    async def test_its_first_request_makes_a_contact_and_finds_it(self, platform: Platform) -> None:
        [request] = commands("README.md", "## First request")
        said = await typed(platform, request)
        assert said.count('"name":"Maria"') == 2

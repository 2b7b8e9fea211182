import io

import httpx
import pytest
from crm_dev.demo import PASSWORD, SESSION, Demo, look
from crm_dev.state import Addresses
from crm_dev.timeline import Timeline
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from rich.console import Console


class TestLook:
    async def test_says_where_and_as_whom_and_waits_for_enter(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed = io.StringIO("\nmore")
        monkeypatch.setattr("sys.stdin", typed)
        screen = Console(file=io.StringIO(), width=80)
        async with httpx.AsyncClient() as http:
            demo = Demo(http, WahaSimulator(3000), WebhookReceiver(), Timeline(screen))
            addresses = Addresses(console_url="http://127.0.0.1:9017")
            look(screen, addresses, demo)
            assert typed.read() == "more"
            look(screen, addresses, demo)  # nobody there to type: it ends all the same
        assert isinstance(screen.file, io.StringIO)
        said = screen.file.getvalue()
        for where in (addresses.console_url, demo.email, PASSWORD, f":3000/?session={SESSION}"):
            assert where in said

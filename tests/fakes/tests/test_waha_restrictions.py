"""An account that WhatsApp restricts: who may be written to, and what is told of it."""

import pytest
from aiohttp import ClientSession
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine

KNOWN, STRANGER = "5511988880001", "5511977770002"
ENDS = 4_000_000_000


async def send(waha: WahaSimulator, phone: str) -> tuple[int, str]:
    body = {"session": "loja", "chatId": f"{phone}@c.us", "text": "oi"}
    headers = {"X-Api-Key": waha.api_key}
    async with (
        ClientSession(headers=headers) as http,
        http.post(f"{waha.url}/api/sendText", json=body) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_takes_answers_alone(engine: Engine) -> None:
    async with WahaSimulator(acks="none") as waha:
        session = waha.create_session("loja", engine=engine)
        waha.scan("loja")
        await waha.receive_text("loja", KNOWN, "oi")
        await waha.restrict("loja", until=ENDS)
        assert session.me is not None
        assert session.me["reachoutTimelock"]["timeEnforcementEnds"] == ENDS
        assert (await send(waha, KNOWN))[0] == 201
        status, said = await send(waha, STRANGER)
        assert (status, "463" in said) == ((201, False) if engine == "NOWEB" else (500, True))
        assert [message.chat for message in waha.sent.values()] == [f"{KNOWN}@c.us"]
        await waha.restrict("loja", until=1.0)  # over long ago
        assert (await send(waha, STRANGER))[0] == 201
        await waha.restrict("loja", is_active=False, tells=False)
        assert "reachoutTimelock" not in session.me
        assert len(waha.sent) == 2

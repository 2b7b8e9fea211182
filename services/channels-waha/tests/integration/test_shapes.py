"""What people write arrives in every shape that engines were seen to give it."""

import pytest
from crm_fakes.waha import WahaSimulator, shapes
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop

MARIA = "5511988880001"


@pytest.mark.parametrize("engine", shapes.ALL)
async def test_what_somebody_wrote_is_told(
    company: Shop, waha: WahaSimulator, engine: Engine
) -> None:
    await company.connect(engine)
    names = shapes.of(engine)
    for name in names:
        await waha.receive_text("loja", MARIA, f"olá, {name}", shape=name, events=("message.any",))
    told = await company.until_told("channel.message_received", len(names))
    said = {message["content"]: message for message in told}
    assert set(said) == {f"olá, {name}" for name in names}
    for message in said.values():
        assert message["direction"] == "inbound"
        assert message["person"]["identities"] == [{"kind": "phone", "value": MARIA}]
    assert await company.rows("SELECT event, reason FROM raw_events") == []


async def test_a_shape_is_its_engines(company: Shop, waha: WahaSimulator) -> None:
    await company.connect("GOWS")
    with pytest.raises(ValueError, match="id_object"):
        await waha.receive_text("loja", MARIA, "oi", shape="id_object")

from typing import Any, cast

import pytest
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.requests import ChannelRequests
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError
from service_kit.calls import Call
from service_kit.egress import Egress
from service_kit.errors import InvalidError
from shared_events.channels.channel import CreateChannel, WahaSettings
from shared_events.requests import Principal


def make(**changes: object) -> ChannelsSettings:
    values: dict[str, object] = {
        "ingress_master_key": SecretStr("kqzwmtbx" * 5),
        "encryption_key": SecretStr(Fernet.generate_key().decode()),
        "public_base_url": "https://crm.test",
        **changes,
    }
    return ChannelsSettings.model_validate(values)


class TestSettings:
    def test_sends_are_paced_in_production_only(self) -> None:
        assert make(crm_env="production").send_interval_seconds == 0.5
        assert make(crm_env="test").send_interval_seconds == 0
        given = make(crm_env="production", waha_send_interval_seconds=0)
        assert given.send_interval_seconds == 0

    @pytest.mark.parametrize("key", ["", "short", "x" * 44])
    def test_refuses_what_is_no_fernet_key(self, key: str) -> None:
        with pytest.raises(ValidationError):
            make(encryption_key=SecretStr(key))

    def test_names_weak_secrets(self) -> None:
        assert any("INGRESS" in p for p in make(ingress_master_key=SecretStr("x")).problems())


class TestSessionTimeout:
    async def test_seconds_are_refused_in_production(self) -> None:
        connections = Connections(make(), WahaHttp(Egress()))
        requests = ChannelRequests(connections, Egress(), is_production=True)
        waha = WahaSettings.model_validate({"base_url": "http://waha:3000", "api_key": "k"})
        request = CreateChannel(name="Loja", waha=waha, session_timeout_seconds=2)
        nobody = Call(Principal(tenant_id="t"), "req")
        with pytest.raises(InvalidError) as refused:
            await requests.create(cast(Any, None), request, nobody)
        (field,) = refused.value.problem.errors
        assert (field.pointer, field.code) == ("/session_timeout_seconds", "not_in_production")

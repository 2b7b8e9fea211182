from typing import Any

import pytest
from pydantic import SecretStr
from service_kit.settings import ServiceSettings
from service_kit.temporal import Temporal
from temporalio.client import Client
from temporalio.service import TLSConfig


class RefusedError(Exception):
    """Nobody is connected to."""


async def asked(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> dict[str, Any]:
    """What Temporal's client is asked for with these settings."""
    given: dict[str, Any] = {}

    async def connect(address: str, **options: Any) -> Client:
        given.update(options, address=address)
        raise RefusedError

    monkeypatch.setattr(Client, "connect", connect)
    temporal = Temporal("things", "temporal:7233", ServiceSettings(crm_env="test", **settings))
    with pytest.raises(RefusedError):
        await temporal.run()
    return given


class TestConnection:
    async def test_is_plain_unless_asked_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = await asked(monkeypatch, temporal_namespace="crm")
        assert (given["address"], given["namespace"]) == ("temporal:7233", "crm")
        assert (given["tls"], given["api_key"]) == (False, None)

    async def test_says_whose_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert (await asked(monkeypatch))["identity"].startswith("crm-things@")

    async def test_with_an_api_key_is_encrypted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = await asked(monkeypatch, temporal_api_key=SecretStr("key-of-the-cloud"))
        assert (given["tls"], given["api_key"]) == (True, "key-of-the-cloud")

    async def test_is_encrypted_when_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert (await asked(monkeypatch, temporal_tls=True))["tls"] is True

    async def test_takes_an_empty_setting_for_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        empty = dict.fromkeys(["temporal_tls_ca", "temporal_tls_cert"], "")
        secret = dict.fromkeys(["temporal_api_key", "temporal_tls_key"], SecretStr(""))
        given = await asked(monkeypatch, **empty, **secret)
        assert (given["tls"], given["api_key"]) == (False, None)

    async def test_shows_its_certificate_and_knows_its_authority(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = await asked(
            monkeypatch,
            temporal_tls_ca="the authority",
            temporal_tls_cert="ours",
            temporal_tls_key=SecretStr("its key"),
        )
        assert given["tls"] == TLSConfig(
            server_root_ca_cert=b"the authority",
            client_cert=b"ours",
            client_private_key=b"its key",
        )

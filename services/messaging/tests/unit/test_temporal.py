from typing import Any

import pytest
from crm_messaging.settings import MessagingSettings
from crm_messaging.temporal import Temporal
from pydantic import SecretStr
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
    named = MessagingSettings(crm_env="test", temporal_address="temporal:7233", **settings)
    temporal = Temporal.of(named)
    assert temporal is not None
    with pytest.raises(RefusedError):
        await temporal.run()
    return given


class TestConnection:
    async def test_is_plain_unless_asked_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = await asked(monkeypatch, temporal_namespace="crm")
        assert (given["address"], given["namespace"]) == ("temporal:7233", "crm")
        assert (given["tls"], given["api_key"]) == (False, None)

    async def test_with_an_api_key_is_encrypted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = await asked(monkeypatch, temporal_api_key=SecretStr("key-of-the-cloud"))
        assert (given["tls"], given["api_key"]) == (True, "key-of-the-cloud")

    async def test_is_encrypted_when_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert (await asked(monkeypatch, temporal_tls=True))["tls"] is True

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

    def test_is_none_without_an_address(self) -> None:
        assert Temporal.of(MessagingSettings(crm_env="test")) is None

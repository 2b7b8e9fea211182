"""Keys turned beside what WAHA servers know of us, and these servers as operators see them."""

from typing import Any

import pytest
from crm_channels_waha.app import create_service
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import Said, crm
from crm_testing.scenes.channels import Ingress, Shop
from crm_testing.services import Outside, running
from cryptography.fernet import Fernet
from shared_events.channels import ingress as paths

NEW_MASTER = "another-master-key-of-this-test-run"
pytestmark = pytest.mark.timeout(600)  # each command is a process of its own

TURNED = ["channels.waha_api_key_encrypted", "webhooks at WAHA"]
AWAY = {
    "MEDIA_STORE_URL": "s3://files",
    "MEDIA_S3_ENDPOINT": "http://127.0.0.1:1",
    "MEDIA_S3_ACCESS_KEY_ID": "id",
    "MEDIA_S3_SECRET_ACCESS_KEY": "key",
}
"""A store of files that nobody reaches."""


def environment(settings: ChannelsSettings, **changes: str) -> dict[str, str]:
    """What a process of the service is given."""
    return {
        "CRM_ENV": "test",
        "DATABASE_URL": settings.postgres_dsn,
        "RABBITMQ_URL": settings.amqp_url,
        "ENCRYPTION_KEY": settings.encryption_key.get_secret_value(),
        "INGRESS_MASTER_KEY": settings.ingress_master_key.get_secret_value(),
        "PUBLIC_BASE_URL": settings.public_base_url,
        "WAHA_CONTROL_TIMEOUT_SECONDS": "10",
        **({"MEDIA_STORE_URL": settings.media_store_url} if settings.media_store_url else {}),
        **changes,
    }


def hooks(waha: WahaSimulator, session: str = "loja") -> list[dict[str, Any]]:
    """The webhooks that a WAHA session knows."""
    found: list[dict[str, Any]] = waha.sessions[session].config["webhooks"]
    return found


async def doctor(settings: ChannelsSettings, **changes: str) -> Said:
    return await crm("channels-waha", "doctor", "--no-process", **environment(settings, **changes))


async def test_keys_turn_at_rest_and_at_waha(
    own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
) -> None:
    key, master = Fernet.generate_key().decode(), own_settings.ingress_master_key.get_secret_value()
    turning = {
        "ENCRYPTION_KEY": f"{key},{own_settings.encryption_key.get_secret_value()}",
        "INGRESS_MASTER_KEY": NEW_MASTER,
        "INGRESS_MASTER_KEY_PREVIOUS": master,
    }
    before = ingress.publisher
    async with (
        running(create_service(own_settings)) as service,
        Outside(own_settings.amqp_url) as outside,
        WahaSimulator(api_key="its-own", time_scale=0.01) as elsewhere,
    ):
        ingress.publisher = outside.publisher
        company = Shop(service.database, outside, waha=waha)
        other = Shop(service.database, outside, waha=elsewhere)
        await company.connect()
        await other.connect()
        never_started = await other.value(other.creation(session="spare"))
        strange = {"url": "https://strange.example/hook", "events": ["message"]}
        waha.sessions["loja"].config["webhooks"].append(strange)

        said = await crm("channels-waha", "keys", "check", **environment(own_settings, **turning))
        assert said.code == 1
        assert [found["older"] for found in said.documents] == [3, 2]
        said = await crm("channels-waha", "keys", "rotate", **environment(own_settings, **turning))
        assert [found["what"] for found in said.documents] == TURNED
        assert (said.code, [found["rotated"] for found in said.documents]) == (0, [3, 2])

        for shop in (company, other):
            (ours,) = (hook for hook in hooks(shop.waha) if hook != strange)
            address = paths.read_channel_token(NEW_MASTER, ours["url"].rpartition("/")[2])
            assert address is not None
            assert (str(address.tenant_id), address.channel_id) == (shop.id, shop.channel_id)
            assert ours["hmac"]["key"] == paths.webhook_hmac_key(NEW_MASTER, address)
        assert strange in hooks(waha)
        assert "spare" not in elsewhere.sessions
        assert never_started["status"] == "created"

        alone = {"ENCRYPTION_KEY": key, "INGRESS_MASTER_KEY": NEW_MASTER}
        said = await crm("channels-waha", "keys", "check", **environment(own_settings, **alone))
        assert (said.code, [found["current"] for found in said.documents]) == (0, [3, 2])
        ingress.publisher = before


async def test_doctor_and_keys_name_servers_that_are_away(
    own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
) -> None:
    before = ingress.publisher
    async with (
        running(create_service(own_settings)) as service,
        Outside(own_settings.amqp_url) as outside,
        WahaSimulator(api_key="its-own", time_scale=0.01) as elsewhere,
    ):
        ingress.publisher = outside.publisher
        await Shop(service.database, outside, waha=waha).connect()
        other = Shop(service.database, outside, waha=elsewhere)
        await other.connect()
        said = await doctor(own_settings)
        assert (said.code, "ok    media store" in said.out) == (0, True)
        await elsewhere.stop()
        said = await crm("channels-waha", "keys", "rotate", **environment(own_settings))
        assert said.code == 1
        assert said.documents[1]["left"] == [str(other.channel_id)]
        assert said.documents[1]["current"] == 1
        said = await doctor(own_settings, WAHA_ALLOWED_NETWORKS="192.0.2.0/24", **AWAY)
        assert said.code == 1
        assert "ILL   media store: " in said.out
        assert said.out.count("name it in WAHA_ALLOWED_NETWORKS") == 2
        said = await doctor(own_settings)
        (ill,) = (line for line in said.out.splitlines() if line.startswith("ILL"))
        assert f"WAHA: {elsewhere.url} of 1 channels" in ill
        ingress.publisher = before


async def test_doctor_names_a_directory_that_cannot_be_had(own_settings: ChannelsSettings) -> None:
    said = await doctor(own_settings, MEDIA_STORE_URL="file:///proc/nowhere")
    assert said.code == 1
    assert "files and directories that the settings name" in said.out

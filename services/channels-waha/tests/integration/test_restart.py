"""The service ends at the worst moments and comes back: each message is sent once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from crm_channels_waha.app import create_service
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Ingress, Shop
from crm_testing.services import Outside, eventually, running
from cryptography.fernet import Fernet
from pydantic import SecretStr


@asynccontextmanager
async def company_on(
    settings: ChannelsSettings,
    ingress: Ingress,
    waha: WahaSimulator,
    known: Shop | None = None,
) -> AsyncIterator[Shop]:
    """A company on a service process of this test's own, perhaps one known from before."""
    before = ingress.publisher
    async with running(create_service(settings)) as service, Outside(settings.amqp_url) as outside:
        ingress.publisher = outside.publisher
        try:
            company = Shop(service.database, outside, waha=waha)
            if known is not None:
                company.id, company.channel_id = known.id, known.channel_id
            yield company
        finally:
            ingress.publisher = before


class TestRestart:
    @pytest.mark.parametrize("engine", ["GOWS", "WEBJS"])
    async def test_crash_between_acceptance_and_commit_sends_once(
        self,
        own_settings: ChannelsSettings,
        ingress: Ingress,
        waha: WahaSimulator,
        engine: Engine,
    ) -> None:
        async with company_on(own_settings, ingress, waha) as company:
            await company.connect(engine)
            waha.echo = False
            waha.faults.add("timeout_after_accept", times=1)
            message_id = await company.write("uma vez só")
            await eventually(lambda: _has_sent(waha))
            assert (await company.ledger(message_id))["state"] == "sending"
        async with company_on(own_settings, ingress, waha, company) as again:
            row = await again.until_state(message_id, "sent")
            assert len(await again.told("channel.message_sent")) == 1
        assert row["external_id"] in waha.sent
        assert [m.times for m in waha.sent.values()] == [1]

    async def test_backlog_is_resumed_in_order(
        self, own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
    ) -> None:
        slow = own_settings.model_copy(update={"waha_send_interval_seconds": 1.0})
        texts = [f"mensagem {n}" for n in range(20)]
        async with company_on(slow, ingress, waha) as company:
            await company.connect()
            for text in texts:
                last = await company.write(text)
            await eventually(lambda: _entered(company, last))
            await eventually(lambda: _has_sent(waha))
        assert 0 < len(waha.sent) < len(texts)
        async with company_on(own_settings, ingress, waha, company) as again:
            await again.until_state(last, "sent")
        assert [m.text for m in waha.sent.values()] == texts
        assert {m.times for m in waha.sent.values()} == {1}

    async def test_two_replicas_send_each_message_once(
        self, own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
    ) -> None:
        async with (
            company_on(own_settings, ingress, waha) as company,
            running(create_service(own_settings)),
        ):
            await company.connect()
            written: list[UUID] = [await company.write(f"m{n}") for n in range(20)]
            for message_id in written:
                await company.until_state(message_id, "sent")
        assert [m.text for m in waha.sent.values()] == [f"m{n}" for n in range(20)]
        assert {m.times for m in waha.sent.values()} == {1}

    async def test_losing_the_lock_connection_sends_once(
        self,
        own_settings: ChannelsSettings,
        ingress: Ingress,
        waha: WahaSimulator,
    ) -> None:
        async with company_on(own_settings, ingress, waha) as company:
            await company.connect()
            waha.timing.send = 0.05
            written = [await company.write(f"m{n}") for n in range(10)]
            await eventually(lambda: _has_sent(waha))
            async with company.database.acquire() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'crm-channels_waha-sender'"
                    " AND datname = current_database()"
                )
            await asyncio.gather(*(company.until_state(m, "sent") for m in written))
        assert [m.text for m in waha.sent.values()] == [f"m{n}" for n in range(10)]
        assert {m.times for m in waha.sent.values()} == {1}


async def _has_sent(waha: WahaSimulator) -> bool:
    return bool(waha.sent)


async def _entered(company: Shop, message_id: UUID) -> bool:
    return bool(await company.ledger(message_id))


class TestKeyRotation:
    async def test_old_channels_send_after_a_key_was_put_in_front(
        self, own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
    ) -> None:
        async with company_on(own_settings, ingress, waha) as company:
            await company.connect()
        old = own_settings.encryption_key.get_secret_value()
        keys = SecretStr(f"{Fernet.generate_key().decode()},{old}")
        rotated = own_settings.model_copy(update={"encryption_key": keys})
        async with company_on(rotated, ingress, waha, company) as again:
            await again.until_state(await again.write("ainda aqui"), "sent")
        assert [m.text for m in waha.sent.values()] == ["ainda aqui"]


class TestNobody:
    async def test_message_for_a_channel_that_never_was_fails(
        self, own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
    ) -> None:
        async with company_on(own_settings, ingress, waha) as company:
            company.channel_id = uuid4()
            message_id = await company.write()
            await company.until_state(message_id, "failed")
            (told,) = await company.told("channel.message_failed")
            assert told["code"] == "channel_gone"

"""Channels over the bus, and the WAHA sessions behind them."""

from uuid import UUID, uuid4

import pytest
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Shop
from shared_events.channels.channel import (
    DeleteChannel,
    DriveChannel,
    GetChannel,
    GetChannels,
    GetQrCode,
    ListChannels,
    UpdateChannel,
    WahaSettings,
)


class TestCreate:
    async def test_shows_the_key_once_and_stores_no_plain_secret(self, company: Shop) -> None:
        created = await company.value(company.creation(session_timeout_minutes=5))
        channel_id = UUID(created["id"])
        assert created["status"] == "created"
        assert created["session_timeout_seconds"] == 300
        assert created["webhook_hmac_key"]
        again = await company.value(GetChannel(channel_id=channel_id))
        assert again["webhook_hmac_key"] is None
        assert again["webhook_url"] == created["webhook_url"]
        (event,) = await company.told("channel.created")
        assert event["channel"]["webhook_hmac_key"] is None
        (row,) = await company.rows("SELECT * FROM channels WHERE id = $1", channel_id)
        assert "waha-key" not in str(row)

    async def test_times_out_after_half_an_hour_by_default(self, company: Shop) -> None:
        created = await company.value(company.creation())
        assert created["session_timeout_seconds"] == 1800

    async def test_repeating_the_command_creates_nothing_new(self, company: Shop) -> None:
        request = company.creation()
        first = await company.value(request, idempotency_key="k")
        assert await company.value(request, idempotency_key="k") == first
        assert len(await company.told("channel.created")) == 1


class TestReadAndChange:
    async def test_lists_newest_first_in_pages(self, company: Shop) -> None:
        ids = [(await company.value(company.creation(session=f"s{n}")))["id"] for n in range(5)]
        first = await company.value(ListChannels(limit=3))
        rest = await company.value(ListChannels(limit=3, cursor=first["next_cursor"]))
        assert [c["id"] for c in first["data"] + rest["data"]] == ids[::-1]
        assert (first["has_more"], rest["has_more"]) == (True, False)

    @pytest.mark.parametrize("cursor", ["x", "!!", "Y2hhbm5lbHMveA", "é"])
    async def test_foreign_cursor_is_malformed(self, company: Shop, cursor: str) -> None:
        problem = await company.refusal(ListChannels(cursor=cursor))
        assert problem == ("malformed", "invalid_cursor")

    async def test_changes_what_is_named_and_counts_the_version(self, company: Shop) -> None:
        created = await company.value(company.creation())
        request = UpdateChannel(channel_id=created["id"], name="Filial", allow_groups=False)
        changed = await company.value(request, expected_version=1)
        assert (changed["name"], changed["allow_groups"]) == ("Filial", False)
        assert (changed["version"], changed["session_timeout_seconds"]) == (2, 1800)
        problem = await company.refusal(request, expected_version=1)
        assert problem == ("precondition_failed", "stale_version")
        assert len(await company.told("channel.updated")) == 1

    async def test_another_waha_session_begins_anew(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha_settings = WahaSettings(base_url=waha.url, api_key="waha-key", session="nova")
        request = UpdateChannel(channel_id=company.channel_id, waha=waha_settings)
        changed = await company.value(request)
        assert (changed["status"], changed["phone"]) == ("created", None)
        last = (await company.told("channel.status_changed"))[-1]
        assert (last["previous_status"], last["channel"]["status"]) == ("connected", "created")

    async def test_others_see_nothing(self, company: Shop, other_company: Shop) -> None:
        created = await company.value(company.creation())
        missing = ("not_found", "channel_not_found")
        assert await other_company.refusal(GetChannel(channel_id=created["id"])) == missing
        assert await other_company.refusal(DeleteChannel(channel_id=created["id"])) == missing
        start = DriveChannel(channel_id=created["id"], action="start")
        assert await other_company.refusal(start) == missing
        assert (await other_company.value(ListChannels()))["data"] == []

    async def test_several_are_those_that_are_there(
        self, company: Shop, other_company: Shop
    ) -> None:
        kept, deleted = [
            await company.value(company.creation(session=each)) for each in ("loja", "filial")
        ]
        theirs = await other_company.value(other_company.creation())
        await company.value(DeleteChannel(channel_id=deleted["id"]))
        asked = GetChannels(ids=[kept["id"], deleted["id"], theirs["id"]])
        alone = await company.value(GetChannel(channel_id=kept["id"]))
        assert (await company.value(asked))["data"] == [alone]
        page = await other_company.value(asked)
        assert [each["id"] for each in page["data"]] == [theirs["id"]]

    async def test_deleted_is_gone_and_its_key_forgotten(self, company: Shop) -> None:
        created = await company.value(company.creation())
        await company.value(DeleteChannel(channel_id=created["id"]))
        problem = await company.refusal(GetChannel(channel_id=created["id"]))
        assert problem == ("not_found", "channel_not_found")
        assert await company.told("channel.deleted") == [{"channel_id": created["id"]}]
        (row,) = await company.rows("SELECT waha_api_key_encrypted FROM channels")
        assert row["waha_api_key_encrypted"] == ""


class TestDrive:
    async def test_start_creates_the_session_with_our_webhook(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        config = waha.session("loja").config
        (hook,) = config["webhooks"]
        assert hook["url"] == company.channel["webhook_url"]
        assert hook["hmac"]["key"] == company.channel["webhook_hmac_key"]
        assert config["metadata"] == {
            "tenant.id": company.id,
            "channel.id": str(company.channel_id),
        }

    async def test_start_keeps_what_an_existing_session_was_told(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        theirs = {"url": "http://127.0.0.1:9/hook", "events": ["message"]}
        waha.create_session("loja", {"webhooks": [theirs], "debug": True}, start=False)
        await company.connect()
        config = waha.session("loja").config
        assert config["debug"] is True
        assert [h["url"] for h in config["webhooks"]] == [
            theirs["url"],
            company.channel["webhook_url"],
        ]

    async def test_start_unplugs_no_other_channel_and_no_other_installation(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        """Whoever shares a session hears of it; only this channel's own old webhooks go."""
        other = await other_company.value(other_company.creation())
        mine = await company.value(company.creation())
        _, _, token = mine["webhook_url"].rpartition("/")
        staging = "https://staging.test/api/v1/webhooks/waha/of-another-master-key"
        moved = f"https://old-address.test/api/v1/webhooks/waha/{token}"
        hooks = [{"url": url, "events": ["*"]} for url in (staging, other["webhook_url"], moved)]
        waha.create_session("loja", {"webhooks": hooks}, start=False)
        await company.value(DriveChannel(channel_id=mine["id"], action="start"))
        assert [hook["url"] for hook in waha.session("loja").config["webhooks"]] == [
            staging,
            other["webhook_url"],
            mine["webhook_url"],
        ]

    async def test_starting_again_does_not_restart(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        seen = list(waha.session("loja").statuses)
        await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
        assert list(waha.session("loja").statuses) == seen

    async def test_stop_restart_and_logout(self, company: Shop) -> None:
        await company.connect()
        channel_id = company.channel_id
        stopped = await company.value(DriveChannel(channel_id=channel_id, action="stop"))
        assert stopped["status"] == "stopped"
        await company.value(DriveChannel(channel_id=channel_id, action="restart"))
        await company.until_status("connected")
        out = await company.value(DriveChannel(channel_id=channel_id, action="logout"))
        assert out["status"] in ("logged_out", "pairing")
        await company.until_status("pairing")

    async def test_the_same_idempotency_key_drives_once(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await waha.deafen("loja", restarts=5)
        restart = DriveChannel(channel_id=company.channel_id, action="restart")
        first = await company.ask(restart, idempotency_key="k")
        again = await company.ask(restart, idempotency_key="k")
        assert (again.value, again.replayed) == (first.value, True)
        assert waha.session("loja").deaf == 4, "each restart takes one away"

    async def test_a_stale_version_drives_nothing(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        version = company.channel["version"]
        seen = list(waha.session("loja").statuses)
        stop = DriveChannel(channel_id=company.channel_id, action="stop")
        stale = await company.refusal(stop, expected_version=version + 1)
        assert stale == ("precondition_failed", "stale_version")
        assert list(waha.session("loja").statuses) == seen
        stopped = await company.value(stop, expected_version=version)
        assert stopped["status"] == "stopped"

    async def test_waha_away_is_unavailable(self, company: Shop, waha: WahaSimulator) -> None:
        created = await company.value(company.creation())
        await waha.stop()
        start = DriveChannel(channel_id=created["id"], action="start")
        assert await company.refusal(start) == ("unavailable", "waha_unavailable")

    async def test_wrong_key_is_told(self, company: Shop) -> None:
        created = await company.value(company.creation(api_key="wrong"))
        start = DriveChannel(channel_id=created["id"], action="start")
        assert await company.refusal(start) == ("conflict", "waha_refused")

    async def test_session_waha_does_not_know_cannot_be_stopped(self, company: Shop) -> None:
        created = await company.value(company.creation())
        stop = DriveChannel(channel_id=created["id"], action="stop")
        assert await company.refusal(stop) == ("conflict", "waha_rejected")


class TestQrCode:
    async def test_is_shown_while_pairing_only(self, company: Shop, waha: WahaSimulator) -> None:
        company.channel_id = UUID((await company.value(company.creation()))["id"])
        await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
        await company.until_status("pairing")
        code = await company.value(GetQrCode(channel_id=company.channel_id))
        assert code["mimetype"] == "image/png"
        assert code["data"].startswith("iVBOR")
        waha.scan("loja")
        problem = await company.refusal(GetQrCode(channel_id=company.channel_id))
        assert problem == ("conflict", "not_pairing")

    async def test_unknown_channel_is_not_found(self, company: Shop) -> None:
        problem = await company.refusal(GetQrCode(channel_id=uuid4()))
        assert problem == ("not_found", "channel_not_found")


class TestTwoChannelsOfOneWahaSession:
    async def test_may_exist_but_only_one_may_run(self, company: Shop) -> None:
        first = await company.value(company.creation())
        second = await company.value(company.creation())
        await company.value(DriveChannel(channel_id=first["id"], action="start"))
        taken = await company.refusal(DriveChannel(channel_id=second["id"], action="start"))
        assert taken == ("conflict", "waha_session_taken")
        await company.value(DeleteChannel(channel_id=first["id"]))
        await company.value(DriveChannel(channel_id=second["id"], action="start"))

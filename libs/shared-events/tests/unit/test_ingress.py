from uuid import UUID

import pytest
from shared_events.channels.ingress import (
    ChannelAddress,
    body_signature,
    channel_token,
    read_channel_token,
    webhook_hmac_key,
)

KEY = "m" * 32
ADDRESS = ChannelAddress(
    UUID("6f1c2d38-9a4e-4b57-8c21-0d5e7f3a9b64"), UUID("01936a7e-0010-7001-8001-5c3d9e2a1001")
)
TOKEN = "AG8cLTiaTktXjCENXn86m2QBk2p-ABBwAYABXD2eKhABo0GmzLsC5wmt2ICAPhJsZw"


class TestChannelToken:
    def test_never_changes(self) -> None:
        assert channel_token(KEY, ADDRESS) == TOKEN

    def test_reads_back_the_address_it_was_made_for(self) -> None:
        rotated = ChannelAddress(ADDRESS.tenant_id, ADDRESS.channel_id, generation=255)
        assert read_channel_token(KEY, TOKEN) == ADDRESS
        assert read_channel_token(KEY, channel_token(KEY, rotated)) == rotated

    @pytest.mark.parametrize("position", range(len(TOKEN)))
    def test_refuses_a_token_with_any_character_changed(self, position: int) -> None:
        for other in "Aw-_9":
            if other != TOKEN[position]:
                tampered = TOKEN[:position] + other + TOKEN[position + 1 :]
                assert read_channel_token(KEY, tampered) is None

    @pytest.mark.parametrize(
        "token",
        ["", "x", TOKEN[:-1], TOKEN + "A", TOKEN + "=", TOKEN + "==", "é" * 66, " " + TOKEN],
    )
    def test_refuses_what_is_not_a_token(self, token: str) -> None:
        assert read_channel_token(KEY, token) is None

    def test_refuses_a_token_of_another_master_key(self) -> None:
        assert read_channel_token("n" * 32, TOKEN) is None


class TestWebhookHmacKey:
    def test_never_changes(self) -> None:
        assert webhook_hmac_key(KEY, ADDRESS) == (
            "164ffb30cafeb2bacc95d6c02f4572227fc27fca4df27377b6575861f9dc6600"
        )

    def test_changes_with_the_generation(self) -> None:
        rotated = ChannelAddress(ADDRESS.tenant_id, ADDRESS.channel_id, generation=1)
        assert webhook_hmac_key(KEY, rotated) != webhook_hmac_key(KEY, ADDRESS)


class TestBodySignature:
    def test_is_wahas_own_vector(self) -> None:
        body = b'{"event":"message","session":"default","engine":"WEBJS"}'
        assert body_signature("my-secret-key", body) == (
            "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
            "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
        )

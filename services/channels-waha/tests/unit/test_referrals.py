"""The advertisement somebody came by, on every engine."""

from typing import Any

import pytest
from crm_channels_waha.waha.content import read_content
from crm_channels_waha.waha.raw import read_raw

AD = {
    "title": "Bolos por encomenda",
    "body": "Peça já",
    "sourceType": "ad",
    "sourceId": "120210000000000123",
    "sourceUrl": "https://fb.me/1aBcDeF",
    "ctwaClid": "ARAkLkA8rmlFeiCk",
}
READ = {
    "click_id": "ARAkLkA8rmlFeiCk",
    "ad_id": "120210000000000123",
    "url": "https://fb.me/1aBcDeF",
    "title": "Bolos por encomenda",
    "text": "Peça já",
}


def referral(raw: dict[str, Any]) -> Any:
    payload = {"body": "oi", "hasMedia": False, "_data": raw}
    return read_content(payload, read_raw(payload), "http://waha").details.get("referral")


def beside(ad: dict[str, Any], **context: str) -> dict[str, Any]:
    return {"text": "oi", "contextInfo": {"externalAdReply": ad, **context}}


class TestReferral:
    def test_is_read_on_every_engine(self) -> None:
        app = {"entryPointConversionApp": "instagram"}
        whole = {**READ, "app": "instagram"}
        assert referral({"message": {"extendedTextMessage": beside(AD, **app)}}) == whole
        go = {
            {"sourceId": "sourceID", "sourceUrl": "sourceURL"}.get(k, k): v for k, v in AD.items()
        }
        wrapped = {"ephemeralMessage": {"message": {"imageMessage": beside(go, **app)}}}
        assert referral({"Message": wrapped}) == whole
        assert referral({"type": "chat", "ctwaContext": {**AD, "description": "Peça já"}}) == READ

    @pytest.mark.parametrize(
        "said", [{}, {"title": "a preview", "sourceUrl": "https://a.example"}, {"sourceType": "x"}]
    )
    def test_is_none_in_a_preview_of_a_link(self, said: dict[str, Any]) -> None:
        assert referral({"message": {"extendedTextMessage": beside(said)}}) is None

    def test_is_cut_to_what_travels(self) -> None:
        found = referral({"message": {"extendedTextMessage": beside({"ctwaClid": "a" * 9000})}})
        assert found == {"click_id": "a" * 255}

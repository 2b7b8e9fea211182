"""What is read out of a tracking."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_contacts.trackings.reading import read
from hypothesis import given
from hypothesis import strategies as st
from shared_events.contacts.tracking import Tracking, TrackingEnrichment

NOW = datetime(2026, 1, 2, tzinfo=UTC)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
)


def tracking(**said: Any) -> Tracking:
    wish = {"id": UUID(int=1), "contact_id": UUID(int=2), "source": "other", "created_at": NOW}
    return Tracking.model_validate({**wish, **said})


def landed(url: Any, **said: Any) -> TrackingEnrichment:
    return read(tracking(conversion_data={"landing_url": url}, **said), NOW)


def told(enrichment: TrackingEnrichment) -> dict[str, Any]:
    return enrichment.model_dump(exclude={"enriched_at"}, exclude_none=True)


@pytest.mark.parametrize(
    ("kind", "platform"),
    [
        ("fbclid", "meta"),
        ("gclid", "google"),
        ("gbraid", "google"),
        ("wbraid", "google"),
        ("ttclid", "tiktok"),
        ("li_fat_id", "linkedin"),
        ("msclkid", "microsoft"),
    ],
)
def test_a_click_names_its_platform(kind: str, platform: str) -> None:
    found = landed(f"https://shop.example/p?{kind.upper()}=c-1&utm_medium=cpc&other=1")
    assert told(found) == {
        "platform": platform,
        "click_id": "c-1",
        "click_kind": kind,
        "utm_medium": "cpc",
        "landing_host": "shop.example",
        "landing_path": "/p",
    }


def test_what_a_tracking_states_itself_goes_before_its_links() -> None:
    stated = {"click_id": "mine", "utm_term": "pão", "platform": "instagram"}
    found = landed("https://a.example/?gclid=theirs&utm_term=x&utm_content=y", **stated)
    assert told(found).items() >= {**stated, "click_kind": "gclid", "utm_content": "y"}.items()


@pytest.mark.parametrize(
    ("source", "platform"),
    [
        ("meta_ads", "meta"),
        ("google_ads", "google"),
        ("tiktok_ads", "tiktok"),
        ("linkedin", "linkedin"),
        ("direct", None),
    ],
)
def test_else_the_source_names_the_platform(source: str, platform: str | None) -> None:
    assert read(tracking(source=source), NOW) == TrackingEnrichment(
        platform=platform, enriched_at=NOW
    )


def test_a_click_says_more_than_the_source() -> None:
    assert landed("https://a.example/?ttclid=1", source="meta_ads").platform == "tiktok"


def test_the_page_goes_before_the_advertisement() -> None:
    ad = "https://fb.me/1?utm_source=ad&utm_term=t"
    assert read(tracking(ad_url=ad), NOW).utm_source == "ad"
    found = landed("https://a.example/?utm_source=page", ad_url=ad)
    assert (found.utm_source, found.utm_term) == ("page", None)
    assert landed("https://a.example/", ad_url=ad).utm_source == "ad"
    assert read(tracking(ad_url=ad), NOW).landing_host is None


def test_the_first_of_two_counts() -> None:
    assert landed("https://a.example/?utm_source=1&utm_source=2").utm_source == "1"


def test_the_agent_and_the_referrer_are_read() -> None:
    data = {"user_agent": IPHONE, "referrer": "https://L.Instagram.com/?u=x"}
    assert told(read(tracking(conversion_data=data), NOW)) == {
        "device": "iPhone",
        "os": "iOS",
        "browser": "Mobile Safari",
        "referrer_host": "l.instagram.com",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        *(7, None, [], {}, "", "javascript:alert(1)", "ftp://a.example/?gclid=1"),
        *("https://[::1/?gclid=1", "https:///?gclid=1", "/p?gclid=1"),
        "https://a.example/?" + "gclid=1&" * 600,
    ],
)
def test_what_is_no_link_says_nothing(wrong: Any) -> None:
    assert landed(wrong).click_kind is None


@pytest.mark.parametrize("value", ["", "x" * 256, "a%00b"])
def test_values_that_do_not_fit_are_left_out(value: str) -> None:
    assert landed(f"https://a.example/?utm_source={value}").utm_source is None


def test_the_longest_values_are_kept() -> None:
    long = "é" * 255
    assert landed(f"https://a.example/?utm_source={long}").utm_source == long
    assert landed("https://" + "h" * 256 + ".example/p").landing_host is None
    agent = {"user_agent": IPHONE.ljust(1025)}
    assert read(tracking(conversion_data=agent), NOW).device is None


_WORDS = st.one_of(st.text(), st.integers(), st.from_regex(r"https?://\S*", fullmatch=True))


@given(landing=_WORDS, referrer=_WORDS, agent=_WORDS, ad=st.text(max_size=99))
def test_nothing_makes_it_fail(landing: Any, referrer: Any, agent: Any, ad: str) -> None:
    data = {"landing_url": landing, "referrer": referrer, "user_agent": agent}
    found = read(tracking(conversion_data=data, ad_url=ad), NOW)
    assert TrackingEnrichment.model_validate(found.model_dump()) == found

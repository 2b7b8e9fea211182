"""What a tracking says when it is read; nobody outside is asked.

Click parameters and their platforms are those of the advertisers' own documentation
(Google: gclid, gbraid, wbraid; Meta: fbclid; TikTok: ttclid; LinkedIn: li_fat_id; Microsoft:
msclkid), utm parameters those of Google Analytics.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from shared_events.contacts.tracking import Tracking, TrackingEnrichment

_CLICKS = {
    "fbclid": "meta",
    "gclid": "google",
    "gbraid": "google",
    "wbraid": "google",
    "ttclid": "tiktok",
    "li_fat_id": "linkedin",
    "msclkid": "microsoft",
}
_SOURCES = {
    "meta_ads": "meta",
    "google_ads": "google",
    "tiktok_ads": "tiktok",
    "linkedin": "linkedin",
}
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_LONGEST = 255
_LONGEST_URL = 4096
_LONGEST_AGENT = 1024
_MANY = 200


def read(tracking: Tracking, at: datetime) -> TrackingEnrichment:
    """Its links, referrer and user agent, read; what does not fit or makes no sense is left out.

    The page somebody landed on tells more than the advertisement's own address.
    """
    data = tracking.conversion_data
    landing = _link(data.get("landing_url"))
    said = _parameters(landing) or _parameters(_link(tracking.ad_url))
    kind = next((kind for kind in _CLICKS if kind in said), None)
    stated = tracking.model_dump(include={"click_id", *_UTM})
    named = _CLICKS[kind] if kind else None
    return TrackingEnrichment(
        platform=tracking.platform or named or _SOURCES.get(tracking.source),
        click_kind=kind,
        landing_host=_host(landing),
        landing_path=landing.path or None if landing else None,
        referrer_host=_host(_link(data.get("referrer"))),
        enriched_at=at,
        click_id=stated["click_id"] or (said[kind] if kind else None),
        **{name: stated[name] or said.get(name) for name in _UTM},
        **_agent(data.get("user_agent")),
    )


def _link(said: Any) -> SplitResult | None:
    if not isinstance(said, str) or len(said) > _LONGEST_URL:
        return None
    try:
        link = urlsplit(said)
        return link if link.scheme in ("http", "https") and link.hostname else None
    except ValueError:  # brackets that are no address
        return None


def _host(link: SplitResult | None) -> str | None:
    host = link.hostname if link else None
    return host if host and len(host) <= _LONGEST else None


def _parameters(link: SplitResult | None) -> Mapping[str, str]:
    """Those that mean something, by name in small letters, the first of each."""
    if link is None:
        return {}
    try:
        pairs = parse_qsl(link.query, max_num_fields=_MANY)
    except ValueError:  # too many
        return {}
    known = {*_CLICKS, *_UTM}
    return {
        name.lower(): value
        for name, value in reversed(pairs)
        if name.lower() in known and 0 < len(value) <= _LONGEST and "\x00" not in value
    }


def _agent(said: Any) -> dict[str, str]:
    if not isinstance(said, str) or not 0 < len(said) <= _LONGEST_AGENT:
        return {}
    # It costs 26 MB and half a second, which only those pay who are told of user agents.
    import ua_parser

    found = ua_parser.parse(said)
    named = {"device": found.device, "os": found.os, "browser": found.user_agent}
    return {name: one.family[:_LONGEST] for name, one in named.items() if one is not None}

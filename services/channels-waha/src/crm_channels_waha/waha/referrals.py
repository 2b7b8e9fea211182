"""The advertisement somebody came by: WhatsApp names it in their first message."""

from typing import Any

from crm_channels_waha.waha.raw import Raw, known, text_within
from crm_channels_waha.waha.reading import Json, mapping, text

_LONGEST = 255
_LONGEST_URL = 4096


def read_referral(payload: Json, raw: Raw) -> dict[str, Any] | None:
    """What is said of it, or None: previews of links look alike, but name no advertisement.

    NOWEB and GOWS have it beside the text, in `contextInfo.externalAdReply`; WEBJS in
    `_data.ctwaContext`.
    """
    context = mapping(raw.fields.get("contextInfo"))
    said = mapping(context.get("externalAdReply")) or mapping(payload, "_data", "ctwaContext")
    click, source = text_within(said, "ctwaClid"), text_within(said, "sourceId")
    if not said or not (click or source or text_within(said, "sourceType") == "ad"):
        return None
    return known(
        click_id=_cut(click),
        ad_id=_cut(source),
        url=_cut(text_within(said, "sourceUrl"), _LONGEST_URL),
        app=_cut(text(context.get("entryPointConversionApp")) or text_within(said, "sourceApp")),
        title=_cut(text_within(said, "title")),
        text=_cut(text_within(said, "body", "description"), _LONGEST_URL),
        ref=_cut(text_within(said, "ref")),
    )


def _cut(found: str | None, longest: int = _LONGEST) -> str | None:
    return found[:longest] if found else None

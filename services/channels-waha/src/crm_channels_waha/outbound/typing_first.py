"""Typing before a text is sent, as a person does (docs/waha.md, "Seen and typing")."""

import asyncio
import random

import structlog

from crm_channels_waha.waha.client import Waha, WahaError

log = structlog.get_logger()

_CHARACTERS_A_SECOND = 15.0


async def type_first(waha: Waha, chat_id: str, content: str, longest: float) -> None:
    """Show that we type for as long as it takes, `longest` seconds at most.

    Where that cannot be shown nobody waits for it.
    """
    try:
        await waha.show_typing(chat_id, typing=True)
        seconds = len(content) / _CHARACTERS_A_SECOND * random.uniform(0.7, 1.3)  # noqa: S311
        await asyncio.sleep(min(seconds, longest))
        await waha.show_typing(chat_id, typing=False)
    except WahaError as error:
        log.debug("typing_not_shown", error=repr(error))

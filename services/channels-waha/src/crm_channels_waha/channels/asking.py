"""Requests that WAHA answers: how what it does not say is told to who asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service_kit.errors import ConflictError, UnavailableError

from crm_channels_waha.waha.client import (
    WahaAwayError,
    WahaForbiddenError,
    WahaRefusedError,
    WahaRejectedError,
)


@asynccontextmanager
async def asking_waha(
    timeout: float,
    *,
    waiting: tuple[str, str] | None = None,
) -> AsyncIterator[None]:
    """Give WAHA so many seconds; no transaction may be open meanwhile.

    `waiting` are code and words for a session that is not in the status the call needs. Raises
    UnavailableError `waha_unavailable` and ConflictError: that one, `waha_address_not_allowed`,
    `waha_refused`, `waha_rejected`.
    """
    try:
        async with asyncio.timeout(timeout):
            yield
    except WahaForbiddenError:
        raise ConflictError(
            "waha_address_not_allowed",
            "WAHA's address is not public, and the operator does not allow it.",
        ) from None
    except (WahaAwayError, TimeoutError):
        raise UnavailableError(
            "waha_unavailable", "WAHA cannot be reached; try again shortly."
        ) from None
    except WahaRefusedError:
        raise ConflictError("waha_refused", "WAHA does not accept the API key.") from None
    except WahaRejectedError as error:
        if error.waits_for_session and waiting is not None:
            raise ConflictError(*waiting) from None
        raise ConflictError("waha_rejected", str(error)) from None

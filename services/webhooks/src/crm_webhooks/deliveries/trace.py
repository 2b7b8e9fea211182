"""What lets a customer connect a webhook with the request that caused it."""

import re
from collections.abc import Mapping

from service_kit import tracing

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,255}")


def trace_headers(correlation_id: str | None, traceparent: str | None) -> Mapping[str, str]:
    """The headers to send, as far as they are well formed.

    Strangers wrote them: what is not well formed is left out, for it fits no column and no header,
    and no event shall fail for it.
    """
    headers = tracing.accepted({"traceparent": traceparent or ""})
    if correlation_id and _REQUEST_ID.fullmatch(correlation_id):
        headers["X-Request-Id"] = correlation_id
    return headers

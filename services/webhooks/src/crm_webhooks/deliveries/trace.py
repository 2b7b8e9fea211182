"""What lets a customer connect a webhook with the request that caused it."""

import re
from collections.abc import Mapping

# W3C Trace Context, section 3.2: ids of zeros alone and version ff are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,255}")
_FORMS = {"X-Request-Id": _REQUEST_ID, "traceparent": _TRACEPARENT}


def trace_headers(correlation_id: str | None, traceparent: str | None) -> Mapping[str, str]:
    """The headers to send, as far as they are well formed.

    Strangers wrote them: what is not well formed is left out, for it fits no column and no header,
    and no event shall fail for it.
    """
    given = {"X-Request-Id": correlation_id, "traceparent": traceparent}
    return {name: value for name, value in given.items() if value and _FORMS[name].fullmatch(value)}

"""Links in the headers of answers (RFC 8288)."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request


def next_page(http: Request, place: str, cursor: str, also: Sequence[tuple[str, str]] = ()) -> str:
    """The Link to the page behind this one: the same question from `cursor` on.

    It begins with the path, so that it leads there by whatever name the gateway was reached.
    `place` is the query parameter that takes the cursor; an `offset` has been walked already. What
    was asked beside the query is `also` asked.
    """
    asked = [
        (name, value)
        for name, value in http.query_params.multi_items()
        if name not in (place, "offset")
    ]
    return (
        f'<{quote(http.scope["path"])}?{urlencode([*asked, *also, (place, cursor)])}>; rel="next"'
    )

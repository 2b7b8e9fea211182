"""Reading request bodies: JSON objects whose unknown fields nobody looks at."""

from typing import Any

import orjson
from aiohttp import web

from crm_fakes.waha.errors import bad_request

Json = dict[str, Any]


async def read_json(request: web.Request) -> Json:
    """Return the JSON object of a request, `{}` when it has no body; raises the 400 otherwise."""
    text = await request.read()
    if not text:
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request(str(error)) from error
    if not isinstance(value, dict):
        raise bad_request("body must be an object")
    return value


def required_text(body: Json, *names: str) -> list[str]:
    """Return the named fields; raises a 400 that lists every missing one."""
    missing = [name for name in names if not isinstance(body.get(name), str)]
    if missing:
        raise bad_request(*(f"{name} must be a string" for name in missing))
    return [body[name] for name in names]

"""Error answers with the bodies of the real server (docs/waha.md, "Errors")."""

from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

VERSION = "2026.7.1"


def json_response(value: object, status: int = 200) -> web.Response:
    """Return compact JSON."""
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )


class WahaError(Exception):
    """An answer other than 2xx; the application turns it into a response."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body

    def response(self) -> web.Response:
        """Return the HTTP answer."""
        return json_response(self.body, self.status)


def bad_request(*messages: str) -> WahaError:
    """Return the 400 of a body that does not validate."""
    return WahaError(400, {"statusCode": 400, "message": list(messages), "error": "Bad Request"})


def unauthorized() -> WahaError:
    """Return the 401 of a missing or wrong key."""
    return WahaError(401, {"message": "Unauthorized", "statusCode": 401})


def not_found(message: str) -> WahaError:
    """Return a 404 with its reason."""
    return WahaError(404, {"message": message, "error": "Not Found", "statusCode": 404})


def unprocessable(message: str) -> WahaError:
    """Return a 422 with its reason."""
    body = {"statusCode": 422, "message": message, "error": "Unprocessable Entity"}
    return WahaError(422, body)


def not_implemented() -> WahaError:
    """Return the 422 of a call the engine lacks."""
    return unprocessable("The method is not implemented by the engine.")


def session_missing(session: str) -> WahaError:
    """Return the 422 of a send to an unknown session."""
    return WahaError(422, {"error": f'Session "{session}" does not exist', "session": session})


def session_status(session: str, status: str, *expected: str) -> WahaError:
    """Return the 422 of a call that needs another session status."""
    return WahaError(
        422,
        {
            "error": "Session status is not as expected. Try again later or restart the session",
            "session": session,
            "status": status,
            "expected": list(expected),
        },
    )


def engine_failure(request: web.Request, body: object, message: str) -> WahaError:
    """Return the 500 of the engine, which echoes the request body like the real one."""
    return WahaError(
        500,
        {
            "statusCode": 500,
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "exception": {"name": "Error", "message": message, "stack": f"Error: {message}"},
            "request": {
                "path": request.path,
                "method": request.method,
                "body": body,
                "query": dict(request.query),
            },
            "version": {"version": VERSION, "tier": "CORE", "browser": None},
        },
    )

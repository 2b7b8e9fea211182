"""`/.well-known/jwks.json`: by which keys others may judge our access tokens."""

import orjson
from starlette.responses import Response
from starlette.routing import Route

from crm_gateway.access.tokens import AccessTokens

PATH = "/.well-known/jwks.json"
_MAY_KEEP_SECONDS = 300
"""So long whoever judges by them goes on with those of before, while keys are turned."""


def jwks_route(tokens: AccessTokens) -> Route:
    """The route, for everybody; without public keys it gives none, and tokens are ours to judge."""
    document = orjson.dumps(tokens.jwks)

    async def jwks(_: object) -> Response:
        headers = {"Cache-Control": f"public, max-age={_MAY_KEEP_SECONDS}"}
        return Response(document, headers=headers, media_type="application/jwk-set+json")

    return Route(PATH, jwks, include_in_schema=False)

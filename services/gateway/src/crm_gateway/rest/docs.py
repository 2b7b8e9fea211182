"""`/openapi.json`, `/docs` with Swagger UI from our own disk (it works without internet), and what
problems mean."""

import orjson
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from crm_gateway.problems import words
from crm_gateway.rest.openapi import Schema


def docs_routes(document: Schema) -> list[BaseRoute]:
    """The routes that describe the API."""
    serialised = orjson.dumps(document)
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=document["info"]["title"],
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon.png",
    )

    async def openapi(_: object) -> Response:
        return Response(serialised, media_type="application/json")

    async def docs(_: object) -> Response:
        return page

    explained = HTMLResponse(words.page())

    async def problems(_: object) -> Response:
        return explained

    # The package is a vehicle for the assets alone; nothing of it is imported.
    assets = StaticFiles(packages=[("fastapi_offline", "static")])
    return [
        Route("/openapi.json", openapi),
        Route("/docs", docs),
        Route(words.PAGE, problems),
        Mount("/docs/assets", assets, name="docs-assets"),
    ]

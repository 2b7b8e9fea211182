"""`python -m crm_gateway.surface FILE [--check]`: write, or check, the OpenAPI document we keep."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from crm_gateway.app import create_service
from crm_gateway.rest import api, openapi
from crm_gateway.rest.routes import ROUTES
from crm_gateway.settings import GatewaySettings
from crm_gateway.surface.compatibility import Schema, findings


def main() -> None:
    """Exit 1, naming the route, when callers would break or (`--check`) FILE is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m crm_gateway.surface")
    parser.add_argument("file", type=Path, help="what callers were given: docs/openapi.json")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    arguments = parser.parse_args()
    problems = kept(served(), arguments.file, check=arguments.check)
    print("\n".join(problems), end="\n" if problems else "")  # noqa: T201 - the command's own output
    sys.exit(1 if problems else 0)


def kept(document: Schema, file: Path, *, check: bool) -> list[str]:
    """What keeps this document from taking the place of the one in the file; without any, and
    unless this is but a check, it does.

    What nobody was ever given may be broken: delete its path from the file first.
    """
    today = datetime.now(UTC).date()
    problems = findings(json.loads(file.read_text()), document, today) if file.exists() else []
    text = _written(document) + "\n"
    if check and not (file.exists() and file.read_text() == text):
        problems.append(f"{file.name}: not up to date; run `make contracts` and commit")
    elif not check and not problems:
        file.write_text(text)
    return problems


def _written(value: Any, depth: int = 3) -> str:
    """JSON with a line for each operation and each schema: a change is seen where it is."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    lines = (f"{json.dumps(key)}: {_written(held, depth - 1)}" for key, held in value.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def served() -> Schema:
    """The document as a gateway serves it; no secret has a part in it."""
    secrets = {"jwt_secret": SecretStr("none" * 8), "ingress_master_key": SecretStr("none" * 8)}
    service = create_service(GatewaySettings.model_validate({"crm_env": "test", **secrets}))
    routes = [route for route in service.app.routes if isinstance(route, api.Route)]
    return openapi.document(routes, ROUTES)


if __name__ == "__main__":
    main()

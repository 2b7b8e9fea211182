"""Judging AsyncAPI documents by the specification's own JSON Schema.

`asyncapi-3.0.0.json` is the AsyncAPI Initiative's (Apache-2.0), without descriptions and examples.
"""

import json
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft7Validator


def assert_valid(document: dict[str, Any]) -> None:
    """Fail with what the schema finds, or with a reference that leads nowhere."""
    schema = json.loads((files(__package__ or "") / "asyncapi-3.0.0.json").read_text())
    found = Draft7Validator(schema).iter_errors(document)
    assert [f"{error.json_path}: {error.message[:200]}" for error in found] == []
    assert [ref for ref in references(document) if not _leads_somewhere(document, ref)] == []


def references(value: Any) -> set[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        inner = set().union(*map(references, value.values()))
        return inner | ({value["$ref"]} if isinstance(value.get("$ref"), str) else set())
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def _leads_somewhere(document: Any, reference: str) -> bool:
    found = document
    for step in reference.removeprefix("#/").split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True

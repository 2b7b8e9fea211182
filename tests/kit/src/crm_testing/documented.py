"""Whether the REST API's document tells of an answer: its status, and each of its headers."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_EVERYWHERE = "x-on-every-answer"
_OF_HTTP = {
    *("connection", "content-length", "content-type", "date", "server", "transfer-encoding"),
}
"""What HTTP itself needs, and OpenAPI has other words for."""


class Documented:
    """What an OpenAPI document promises of answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._shared = document["components"]
        self._operations = [
            (method.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", path)), operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        self._everywhere = {
            name.lower()
            for name, header in self._shared["headers"].items()
            if header.get(_EVERYWHERE)
        }

    def surprises(self, method: str, path: str, status: int, headers: Iterable[str]) -> list[str]:
        """What of an answer the document does not tell; of what is no operation it tells nothing.

        Of two paths that fit the first is meant, as in the route table.
        """
        asked = "GET" if method == "HEAD" else method
        for known, pattern, operation in self._operations:
            if known == asked and pattern.fullmatch(path):
                return self._surprises(operation, status, headers)
        return []

    def _surprises(
        self, operation: Mapping[str, Any], status: int, headers: Iterable[str]
    ) -> list[str]:
        answer = operation["responses"].get(str(status))
        if answer is None:
            return [f"{operation['operationId']}: status {status}"]
        if "$ref" in answer:
            answer = self._shared["responses"][answer["$ref"].rpartition("/")[2]]
        told = {name.lower() for name in answer.get("headers", {})} | self._everywhere | _OF_HTTP
        surprising = sorted({name.lower() for name in headers} - told)
        return [f"{operation['operationId']}: {status} with {name}" for name in surprising]

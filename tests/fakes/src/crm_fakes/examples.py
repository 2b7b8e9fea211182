"""The WAHA webhook examples: 45 bodies with what a CRM is expected to make of them."""

import copy
import hashlib
import hmac
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

EXAMPLES_KEY = "waha-examples-secret"
"""The key the stored X-Webhook-Hmac headers were made with."""


def waha_hmac(key: str, body: bytes) -> str:
    """Return the lowercase hex HMAC-SHA512 of the raw body (docs/waha.md, "Webhooks")."""
    return hmac.new(key.encode(), body, hashlib.sha512).hexdigest()


@dataclass(frozen=True)
class Example:
    """One webhook: envelope `body`, the `headers` WAHA sent, and the `expected` CRM result."""

    name: str
    headers: dict[str, str]
    body: dict[str, Any]
    expected: dict[str, Any]

    def with_session(self, session: str) -> "Example":
        """Return a copy which comes from another WAHA session."""
        body = copy.deepcopy(self.body)
        body["session"] = session
        return Example(self.name, self.headers, body, self.expected)

    def signed(self, key: str) -> tuple[bytes, dict[str, str]]:
        """Return the compact UTF-8 body and its headers, signed with `key`."""
        body = orjson.dumps(self.body)
        return body, {**self.headers, "X-Webhook-Hmac": waha_hmac(key, body)}


@cache
def _stored() -> list[Example]:
    raw = orjson.loads(files("crm_fakes").joinpath("webhook_examples.json").read_bytes())
    return [Example(**item) for item in raw]


def load() -> list[Example]:
    """Return all examples, in the order they are kept."""
    return list(_stored())


def by_name(name: str) -> Example:
    """Return one example; raises KeyError with the known names if there is none."""
    for example in _stored():
        if example.name == name:
            return example
    raise KeyError(f"no example {name!r}; known: {', '.join(e.name for e in _stored())}")

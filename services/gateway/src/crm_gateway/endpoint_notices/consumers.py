"""Writes to the admins of a company whose webhooks do not arrive.

By mail, for what does not arrive there is the very way other systems would be told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.rows import Shape
from shared_events.webhooks.endpoint import WebhookEndpointDisabled, WebhookEndpointFailing

from crm_gateway.auth.throttle import Limit, Throttle
from crm_gateway.mail.languages import DEFAULT, Language
from crm_gateway.mail.letters import Letter, Letters
from crm_gateway.mail.post import Post

_BY_US = ("failing", "gone")
"""Why an endpoint was disabled that no person has disabled."""
_GOOD_FOR = timedelta(days=1)
_ADMINS = """
SELECT a.id, coalesce(a.known_as, u.name) AS name, u.email, u.language, p.name AS company
FROM agents a JOIN users u ON u.id = a.user_id
JOIN projects p ON p.tenant_id = a.tenant_id
WHERE a.tenant_id = $1 AND a.role = 'admin' AND a.active AND u.password_hash IS NOT NULL
ORDER BY a.id
"""


@dataclass(frozen=True, slots=True)
class _Admin:
    """Somebody who can mend it, and what their company is called."""

    id: UUID
    name: str
    email: str
    language: Language | None
    company: str


_ADMIN = Shape(_Admin)


class EndpointNotices:
    """Of each kind an admin gets one letter about an endpoint a day at the most."""

    def __init__(self, post: Post, letters: Letters) -> None:
        self._post = post
        self._letters = letters
        self._throttle = Throttle(_GOOD_FOR.total_seconds())

    async def on_failing(
        self, tx: Transaction, events: Sequence[Event[WebhookEndpointFailing]]
    ) -> None:
        """Write that it may be disabled."""
        for event in events:
            told = event.data
            write = partial(
                self._letters.endpoint_failing,
                url=told.endpoint.url,
                since=told.failing_since,
                until=told.disabled_at,
            )
            await self._write(tx, "failing", told.endpoint.id, write)

    async def on_disabled(
        self, tx: Transaction, events: Sequence[Event[WebhookEndpointDisabled]]
    ) -> None:
        """Write that it was disabled, unless one of them has done it."""
        for endpoint in (event.data.endpoint for event in events):
            if endpoint.disabled_reason in _BY_US:
                write = partial(self._letters.endpoint_disabled, url=endpoint.url)
                await self._write(tx, "disabled", endpoint.id, write)

    async def _write(
        self, tx: Transaction, kind: str, endpoint_id: UUID, write: Callable[..., Letter]
    ) -> None:
        limit = Limit.of(1, "endpoint notice", kind, endpoint_id)
        if not self._post.sends or not await self._throttle.lets(tx, limit):
            return
        for admin in await _ADMIN.find(tx, _ADMINS, tx.tenant_id):
            letter = write(
                admin.language or DEFAULT, to=admin.email, name=admin.name, company=admin.company
            )
            expires_at = datetime.now(UTC) + _GOOD_FOR
            await self._post.put(tx, admin.id, letter, expires_at, topic=f"endpoint {endpoint_id}")

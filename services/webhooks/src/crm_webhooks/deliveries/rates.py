"""What an endpoint with a rate limit may be sent: tokens, counted for all processes together.

Whoever claims takes tokens with the leases, in one transaction, and claims follow one another
across processes, so nothing of it is left to a process. A token is there every so many seconds. One
that nobody took is kept for `BURST_SECONDS`, and one that was taken is good for `TOKEN_SECONDS`: a
delivery that cannot start by then goes back, for what starts late would meet the tokens of others.
By both the minute is made longer that tokens are dealt over, so that no minute sees more requests
than were asked for.
"""

from collections.abc import Mapping
from uuid import UUID

import asyncpg

BURST_SECONDS = 0.1
TOKEN_SECONDS = 0.5
_DEALT_OVER_SECONDS = 60 + BURST_SECONDS + TOKEN_SECONDS
_OLDEST = f"now() - interval '{BURST_SECONDS} s'"

# Null for an endpoint `e` without a limit. Whoever waited for its turn to claim looks by a clock
# from before, and may find more taken than it knows to be there.
TOKENS = f"""
CASE WHEN e.rate_limit_per_minute IS NOT NULL THEN greatest(0, 1 + floor(
    extract(epoch FROM now() - greatest({_OLDEST},
        (SELECT next_at FROM rate_accounts WHERE endpoint_id = e.id)))
    * e.rate_limit_per_minute / {_DEALT_OVER_SECONDS})::int) END
"""  # noqa: S608 - our own text
_TAKE = f"""
INSERT INTO rate_accounts AS account (endpoint_id, tenant_id, next_at)
SELECT taken.endpoint_id, e.tenant_id, {_OLDEST} + make_interval(
    secs => taken.tokens * {_DEALT_OVER_SECONDS} / e.rate_limit_per_minute)
FROM unnest($1::uuid[], $2::int[]) AS taken(endpoint_id, tokens)
JOIN webhook_endpoints e ON e.id = taken.endpoint_id AND e.rate_limit_per_minute IS NOT NULL
ON CONFLICT (endpoint_id) DO UPDATE SET
    next_at = excluded.next_at + greatest(account.next_at - ({_OLDEST}), interval '0')
RETURNING extract(epoch FROM next_at - now())::float8 AS seconds
"""  # noqa: S608 - our own text


async def take(connection: asyncpg.Connection, tokens: Mapping[UUID, int]) -> list[float]:
    """Take so many tokens of each of these endpoints, as `TOKENS` has found them.

    The caller alone claims. Returns in how many seconds each of them has the next one.
    """
    rows = await connection.fetch(_TAKE, list(tokens), list(tokens.values()))
    return [row["seconds"] for row in rows]

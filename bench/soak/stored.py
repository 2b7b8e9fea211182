"""What messaging's tables say, asked directly: all of it must be the soak's own."""

from dataclasses import dataclass

import asyncpg

from bench.soak.ledger import PREFIX, Ledger

# Ids of a conversation sort as they were written: their places are padded hexadecimal numbers.
_CONVERSATIONS = f"""
SELECT left(external_id, {PREFIX}) AS conversation, count(*) AS messages,
    count(DISTINCT external_id) AS distinct_messages, count(*) FILTER (WHERE moved) AS moved
FROM (
    SELECT m.external_id,
        m.external_id COLLATE "C" < max(m.external_id COLLATE "C") OVER (
            PARTITION BY left(m.external_id, {PREFIX}) ORDER BY s.started_at, m.seq) AS moved
    FROM messaging.messages m JOIN messaging.sessions s ON s.id = m.session_id
) placed
GROUP BY 1
"""  # noqa: S608
_SESSIONS = """
SELECT count(*) FILTER (WHERE status = 'active') AS active
FROM messaging.sessions GROUP BY channel_id, contact_id
"""


AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True)
class Stored:
    """Totals over all conversations; `wrong_sessions` have none or several active at once.

    `moved` stand behind one that was written later, by session and `seq`.
    """

    messages: int
    doubled: int
    lost: int
    moved: int
    conversations: int
    wrong_sessions: int

    def __str__(self) -> str:
        return (
            f"stored {self.messages}, doubled {self.doubled}, out of order {self.moved},"
            f" wrong sessions {self.wrong_sessions}"
        )


async def judge(database_url: str, ledger: Ledger) -> Stored:
    """Compare every conversation with what was accepted of it; raises AWAY without a database."""
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        rows = await connection.fetch(_CONVERSATIONS)
        sessions = await connection.fetch(_SESSIONS)
    finally:
        await connection.close()
    found = {int(row["conversation"][4:], 16): row["distinct_messages"] for row in rows}
    return Stored(
        messages=sum(row["messages"] for row in rows),
        doubled=sum(row["messages"] - row["distinct_messages"] for row in rows),
        lost=sum(max(0, c.accepted - found.get(c.number, 0)) for c in ledger.conversations),
        moved=sum(row["moved"] for row in rows),
        conversations=len(sessions),
        wrong_sessions=sum(row["active"] != 1 for row in sessions),
    )

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.sessions import repository, service
from crm_messaging.sessions.lifecycles import Lifecycles
from crm_messaging.sessions.repository import Watched
from crm_messaging.sessions.sweep import Sweep
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import eventually
from service_kit.database import Database, Transaction
from service_kit.settings import ServiceSettings
from service_kit.temporal import Temporal


def sweep(
    scene: Scene,
    *,
    grace_seconds: float = 0,
    seconds: float = 1,
    lifecycles: Lifecycles | None = None,
) -> Sweep:
    return Sweep(
        scene.database,
        lifecycles,
        seconds=seconds,
        grace_seconds=grace_seconds,
        check_seconds=300,
    )


async def opened(scene: Scene, **changes: Any) -> UUID:
    """A session with one message."""
    await scene.apply(on_message_received, scene.received(**changes))
    session_id: UUID = (await scene.sessions())[-1]["id"]
    return session_id


async def take(scene: Scene, *, grace: float = 60, check: float | None = 300) -> int:
    """How many have their turn now."""
    async with scene.database.system("sweep") as tx:
        due = await repository.take_due(
            tx, grace_seconds=grace, check_seconds=check, again_seconds=5, limit=200
        )
    return len(due)


async def next_look(scene: Scene) -> float:
    """Seconds until the only session has its turn."""
    (row,) = await scene.rows(
        "SELECT extract(epoch FROM check_at - now())::float AS seconds FROM sessions"
    )
    seconds: float = row["seconds"]
    return seconds


class Forgotten(Lifecycles):
    """A Temporal that lost everything; `transactions` of the database at each call to it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(Temporal("messaging", "nowhere:1", ServiceSettings(crm_env="test")))
        self._scene = scene
        self.started: list[UUID] = []
        self.calls = 0
        self.transactions: list[str] = []

    async def lost(self, sessions: Sequence[Watched]) -> list[Watched] | None:
        await self._look()
        return list(sessions)

    async def start(self, sessions: Sequence[Watched]) -> int:
        await self._look()
        self.started += [session.id for session in sessions]
        return len(sessions)

    async def _look(self) -> None:
        self.calls += 1
        async with self._scene.database.acquire() as connection:
            self.transactions += [
                row["query"]
                for row in await connection.fetch(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                    " AND backend_type = 'client backend'"
                )
            ]


class TestSilence:
    async def test_past_timeout_and_grace_ends_a_session(self, scene: Scene) -> None:
        await opened(scene)
        await scene.silence(1805)
        await sweep(scene, grace_seconds=60).once()
        assert (await scene.sessions())[0]["status"] == "active"
        await scene.silence(1805)
        await sweep(scene, grace_seconds=2).once()
        (session,) = await scene.sessions()
        assert (session["status"], session["end_reason"]) == ("expired", "inactivity")
        await sweep(scene, grace_seconds=2).once()
        assert (await scene.told())[2:] == ["session.expired"]

    async def test_is_no_end_for_a_session_that_is_being_written_to(self, scene: Scene) -> None:
        await opened(scene)
        await scene.silence(3600)
        async with scene.database.tenant(scene.tenant_id) as tx:
            await on_message_received(tx, scene.events([scene.received("ainda aqui")]))
            assert await sweep(scene).once() == 0  # and it has not waited
        await sweep(scene).once()
        (session,) = await scene.sessions()
        assert (session["status"], session["total_messages"]) == ("active", 2)

    async def test_is_no_end_when_a_message_came_since_it_was_found(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await opened(scene)
        await scene.silence(3600)
        end = service.end

        async def late(tx: Transaction, *rest: Any, **named: Any) -> Any:
            await scene.apply(on_message_received, scene.received("ainda aqui"))
            return await end(tx, *rest, **named)

        monkeypatch.setattr(service, "end", late)
        await sweep(scene).once()
        (session,) = await scene.sessions()
        assert (session["status"], session["total_messages"]) == ("active", 2)

    async def test_of_more_than_a_batch_is_worked_off_at_once(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crm_messaging.sessions.sweep._BATCH", 10)
        phones = [f"55119888{n:05}" for n in range(25)]
        await scene.apply(on_message_received, *(scene.received(phone=p) for p in phones))
        await scene.silence(3600)
        sweeping = asyncio.create_task(sweep(scene, seconds=3600).run())

        async def all_expired() -> bool:
            return all(session["status"] == "expired" for session in await scene.sessions())

        await eventually(all_expired)
        sweeping.cancel()

    async def test_is_shared_by_processes_without_waiting(self, scene: Scene) -> None:
        phones = [f"55119888{n:05}" for n in range(40)]
        await scene.apply(on_message_received, *(scene.received(phone=p) for p in phones))
        await scene.silence(3600)
        assert sum(await asyncio.gather(*(sweep(scene).once() for _ in range(3)))) == 40
        assert (await scene.told()).count("session.expired") == 40

    async def test_of_one_that_cannot_be_ended_keeps_no_other_open(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = await opened(scene)
        others = [Scene(scene.database) for _ in range(2)]
        for other in others:
            await opened(other)
        for silent in (scene, *others):
            await silent.silence(3600)
        end = service.end

        async def fails(tx: Transaction, session_id: UUID, *rest: Any, **named: Any) -> Any:
            if session_id == broken:
                raise ValueError("a fault of this one")
            return await end(tx, session_id, *rest, **named)

        monkeypatch.setattr(service, "end", fails)
        monkeypatch.setattr("crm_messaging.sessions.sweep._BATCH", 1)
        sweeping = asyncio.create_task(sweep(scene, seconds=3600).run())

        async def others_expired() -> bool:
            found = [(await other.sessions())[0]["status"] for other in others]
            return found == ["expired", "expired"]

        await eventually(others_expired)
        assert (await scene.sessions())[0]["status"] == "active"
        sweeping.cancel()

    async def test_needs_one_connection_at_a_time(
        self, scene: Scene, own_database: MigratedDatabase
    ) -> None:
        await opened(scene)
        await scene.silence(3600)
        narrow = Database(own_database.url, scene.database.schema, pool_size=1)
        await narrow.connect()
        alone = Sweep(narrow, None, seconds=1, grace_seconds=0, check_seconds=300)
        async with asyncio.timeout(60):  # two would wait for each other
            assert await alone.once() == 1
        await narrow.close()
        assert (await scene.sessions())[0]["status"] == "expired"


class TestTurns:
    async def test_a_new_session_has_its_turn_at_once_and_then_at_the_next_check(
        self, scene: Scene
    ) -> None:
        await opened(scene)
        assert await take(scene) == 1
        assert 230 < await next_look(scene) <= 300
        assert await take(scene) == 0

    async def test_sessions_that_had_it_together_part(self, scene: Scene) -> None:
        phones = [f"55119888{n:05}" for n in range(50)]
        await scene.apply(on_message_received, *(scene.received(phone=p) for p in phones))
        assert await take(scene) == 50
        (spread,) = await scene.rows(
            "SELECT extract(epoch FROM max(check_at) - min(check_at)) AS seconds FROM sessions"
        )
        assert spread["seconds"] > 30

    async def test_a_session_near_its_end_has_its_turn_after_timeout_and_grace(
        self, scene: Scene
    ) -> None:
        await opened(scene)
        await scene.silence(1700)
        assert await take(scene, grace=60) == 1
        assert 150 < await next_look(scene) <= 160

    async def test_without_temporal_there_is_nothing_to_look_for_before(self, scene: Scene) -> None:
        await opened(scene)
        assert await take(scene, grace=60, check=None) == 1
        assert 1850 < await next_look(scene) <= 1860

    async def test_a_session_past_its_end_has_its_turn_again_soon(self, scene: Scene) -> None:
        await opened(scene)
        await scene.silence(3600)
        assert await take(scene) == 1
        assert 0 < await next_look(scene) <= 5

    async def test_messages_do_not_move_it(self, scene: Scene) -> None:
        """A message writes no index of sessions."""
        await opened(scene)
        await take(scene)
        before = await scene.rows("SELECT check_at FROM sessions")
        await opened(scene)
        assert await scene.rows("SELECT check_at FROM sessions") == before

    async def test_what_is_not_due_is_not_read(self, scene: Scene) -> None:
        await opened(scene)
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute(_MANY_NOT_DUE, scene.tenant_id)
        async with scene.database.system("sweep") as tx:
            plan = "\n".join(
                row[0]
                for row in await tx.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {_TAKEN}")
            )
        assert "idx_sessions_due" in plan
        assert re.search(r"Index Scan using idx_sessions_due[^\n]*rows=1\b", plan), plan
        assert "Rows Removed" not in plan


_MANY_NOT_DUE = """
INSERT INTO sessions (id, tenant_id, project_id, channel_id, contact_id, status, opened_by,
    timeout_seconds, started_at, last_interaction_at, check_at)
SELECT gen_random_uuid(), $1, $1, gen_random_uuid(), gen_random_uuid(), 'active', 'contact', 1800,
    now(), now(), now() + interval '1 minute' FROM generate_series(1, 5000)
"""
_TAKEN = (
    repository.TAKE_DUE.replace("$1", "60")
    .replace("$2", "300")
    .replace("$3", "5")
    .replace("$4", "200")
)


class TestLostWorkflows:
    async def test_are_started_outside_of_any_transaction(self, scene: Scene) -> None:
        lifecycles = Forgotten(scene)
        session_id = await opened(scene)
        assert await sweep(scene, lifecycles=lifecycles).once() == 1
        assert lifecycles.started == [session_id]
        assert lifecycles.transactions == []

    async def test_are_looked_for_by_two_calls_a_batch_however_many(self, scene: Scene) -> None:
        lifecycles = Forgotten(scene)
        phones = [f"55119888{n:05}" for n in range(50)]
        await scene.apply(on_message_received, *(scene.received(phone=p) for p in phones))
        await sweep(scene, lifecycles=lifecycles).once()
        assert (lifecycles.calls, len(lifecycles.started)) == (2, 50)
        await sweep(scene, lifecycles=lifecycles).once()
        assert len(lifecycles.started) == 50

    async def test_are_started_at_a_bounded_rate(self, scene: Scene) -> None:
        phones = [f"55119888{n:05}" for n in range(50)]
        await scene.apply(on_message_received, *(scene.received(phone=p) for p in phones))
        sweeping = sweep(scene, lifecycles=Forgotten(scene))
        began = time.monotonic()
        await sweeping.once()
        assert time.monotonic() - began >= 0.5  # a hundred a second

    async def test_are_not_started_for_a_session_that_is_over(self, scene: Scene) -> None:
        lifecycles = Forgotten(scene)
        await opened(scene)
        await scene.silence(3600)
        await sweep(scene, lifecycles=lifecycles).once()
        assert lifecycles.started == []
        assert (await scene.sessions())[0]["status"] == "expired"


class Away(Forgotten):
    """A Temporal that answers nobody."""

    async def lost(self, sessions: Sequence[Watched]) -> list[Watched] | None:
        await self._look()
        return None


class Overloaded(Forgotten):
    """A Temporal that starts nothing in time."""

    async def start(self, sessions: Sequence[Watched]) -> int:
        await self._look()
        return 0


class TestOutage:
    @pytest.mark.parametrize(("lifecycles", "calls"), [(Away, 1), (Overloaded, 2)])
    async def test_costs_a_sweep_one_question_however_many_sessions_it_looks_at(
        self,
        scene: Scene,
        lifecycles: type[Forgotten],
        calls: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("crm_messaging.sessions.sweep._BATCH", 1)
        away = lifecycles(scene)
        phones = [f"55119888{n:05}" for n in range(9)]
        await scene.apply(on_message_received, *(scene.received(phone=p) for p in phones))
        sweeping = asyncio.create_task(sweep(scene, lifecycles=away, seconds=3600).run())

        async def all_had_their_turn() -> bool:
            return not await scene.rows("SELECT 1 FROM sessions WHERE check_at <= now()")

        await eventually(all_had_their_turn)
        sweeping.cancel()
        assert away.calls == calls


class TestReceipts:
    async def test_nobody_came_for_are_forgotten(self, scene: Scene) -> None:
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO parked_receipts"
                " (tenant_id, channel_id, external_id, status, occurred_at, created_at) VALUES"
                " ($1, gen_random_uuid(), 'old', 'read', now(), now() - interval '8 days'),"
                " ($1, gen_random_uuid(), 'new', 'read', now(), now() - interval '6 days')",
                scene.tenant_id,
            )
        sweeping = asyncio.create_task(sweep(scene).run())

        async def forgotten() -> bool:
            kept = await scene.rows("SELECT external_id FROM parked_receipts")
            return [row["external_id"] for row in kept] == ["new"]

        await eventually(forgotten)
        sweeping.cancel()

"""Jobs that are held, ended, interrupted or worked on by two: nothing is lost, nothing doubled."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from crm_contacts.contacts import many
from crm_contacts.imports import requests, upsert
from crm_contacts.imports.job import BATCH_ROWS, ERRORS, KIND, Imports
from crm_contacts.jobs import progress, repository
from crm_contacts.jobs.runner import Runner
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.files import bring, ended, errors_of
from crm_testing.servers import TemporalServer
from crm_testing.services import eventually
from service_kit.calls import Call
from service_kit.errors import ConflictError
from service_kit.jobs.activities import JobActivities
from service_kit.jobs.dispatch import starter
from service_kit.jobs.schemas import JobRef, task_queue, workflow_id
from service_kit.jobs.workflow import JobWorkflow
from service_kit.service import Service
from service_kit.temporal import Temporal
from shared_events.contacts.contact_import import DriveImport, GetImport
from shared_events.jobs import JobAction
from shared_events.requests import Principal
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

KEPT = timedelta(days=30)
ROWS = 2 * BATCH_ROWS + 1
FILE = "nome,telefone\n" + "".join(f"Pessoa {n},+55119{n:08}\n" for n in range(ROWS))


@pytest.fixture
def runner(service: Service) -> Runner:
    return Runner(service.database, {KIND: Imports("BR", KEPT)})


async def put_by(company: Shop, file: str = FILE) -> JobRef:
    """An import that nobody but the test works on."""
    import_id = await bring(company, file.encode())
    options = {"filename": "c.csv", "upsert_key": "phone", "mapping": None, "dry_run": False}
    call = Call(Principal(tenant_id=company.id), "req-import")
    async with company.database.tenant(company.id) as tx:
        await progress.begin(tx, import_id, KIND, options, call, requests.told)
        await tx.execute("UPDATE jobs SET due_at = now() + interval '1 hour'")
    return JobRef(tenant_id=company.id, id=import_id, kind=KIND)


def after(batches: int) -> Callable[[], bool]:
    """Says after so many batches that it is enough."""
    left = iter([False] * batches)
    return lambda: next(left, True)


async def state(company: Shop) -> tuple[str, int, int]:
    """State, rows done, and contacts there are."""
    (job,) = await company.rows("SELECT state, done FROM jobs")
    (found,) = await company.rows("SELECT count(*) AS n FROM contacts")
    return job["state"], job["done"], found["n"]


async def told(company: Shop) -> list[str]:
    return [one["contact"]["phone"] for one in await company.told("contact.created")]


def driving(ref: JobRef, action: JobAction) -> DriveImport:
    return DriveImport(import_id=ref.id, action=action)


class TestInterruptions:
    async def test_lose_and_double_nothing(
        self, company: Shop, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ref = await put_by(company)

        async def breaks(*_: Any, **__: Any) -> None:
            raise ConnectionError("the process is gone")

        with monkeypatch.context() as patch:  # when all is read and nobody knows of it
            patch.setattr(progress, "save", breaks)
            with pytest.raises(ConnectionError):
                await runner.advance(ref)
        assert await state(company) == ("queued", 0, 0)
        assert await runner.advance(ref, is_over=after(1))
        assert await state(company) == ("running", BATCH_ROWS, BATCH_ROWS)

        write = many.write

        async def writes_and_breaks(*args: Any) -> None:
            await write(*args)
            await breaks()

        with monkeypatch.context() as patch:  # in the middle of a batch
            patch.setattr(many, "write", writes_and_breaks)
            with pytest.raises(ConnectionError):
                await runner.advance(ref)
        assert await state(company) == ("running", BATCH_ROWS, BATCH_ROWS)

        both = await asyncio.gather(runner.advance(ref), runner.advance(ref))  # two at once
        assert not any(both)
        assert await state(company) == ("completed", ROWS, ROWS)
        phones = await told(company)
        assert len(phones) == len(set(phones)) == ROWS
        assert not await runner.advance(ref)
        assert await company.rows("SELECT * FROM job_parts") == []

    async def test_by_what_cannot_be_helped_end_the_job(
        self, company: Shop, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ref = await put_by(company)

        async def fails(*_: Any, **__: Any) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(upsert, "apply", fails)
        assert not await runner.advance(ref)
        job = await company.value(GetImport(import_id=ref.id))
        assert (job["state"], job["failure"]["code"]) == ("failed", "internal_error")
        assert "bug" not in job["failure"]["detail"] and job["finished_at"] is not None

    async def test_do_not_outrun_what_is_told(
        self, company: Shop, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ref = await put_by(company)
        monkeypatch.setattr(repository, "MOST_WAITING", 0)  # as if the relay were behind
        assert await runner.advance(ref, is_over=after(2))
        assert await state(company) == ("running", 0, 0)


class TestDriving:
    async def test_holds_an_import_lets_it_go_on_and_ends_it(
        self, company: Shop, other_company: Shop, runner: Runner
    ) -> None:
        ref = await put_by(company)
        assert await runner.advance(ref, is_over=after(1))
        running = await company.value(GetImport(import_id=ref.id))
        pause, resume, cancel = (driving(ref, a) for a in ("pause", "resume", "cancel"))
        stale = await company.refusal(pause, expected_version=running["version"] - 1)
        assert stale == ("precondition_failed", "stale_version")
        for each in (pause, resume, cancel):
            refusal = await other_company.refusal(each)
            assert refusal == ("not_found", "import_not_found")
        held = await company.value(pause, expected_version=running["version"])
        assert (held["state"], held["version"]) == ("paused", running["version"] + 1)
        assert await company.value(pause) == held
        assert not await runner.advance(ref)
        assert await state(company) == ("paused", BATCH_ROWS, BATCH_ROWS)
        assert (await company.value(resume))["state"] == "running"
        job = await ended(company, GetImport(import_id=ref.id))  # the service goes on
        assert (job["state"], job["created"]) == ("completed", ROWS)
        states = [one["job"]["state"] for one in await company.told("import.progressed")]
        assert [s for n, s in enumerate(states) if s != states[n - 1]] == [
            *("queued", "running", "paused", "running", "completed")
        ]
        assert await company.refusal(cancel) == ("conflict", "job_ended")

        theirs = await put_by(other_company)
        held = await other_company.value(driving(theirs, "pause"))
        assert await other_company.value(driving(theirs, "resume")) != held  # not read yet
        await other_company.value(driving(theirs, "pause"))
        gone = await other_company.value(driving(theirs, "cancel"))
        assert gone["state"] == "cancelled"
        assert await other_company.value(driving(theirs, "cancel")) == gone
        assert await other_company.rows("SELECT * FROM job_parts") == []

    async def test_a_company_has_so_many_at_a_time(self, company: Shop) -> None:
        for _ in range(progress.MAX_UNFINISHED):
            await put_by(company)
        with pytest.raises(ConflictError, match="too_many_jobs"):
            await put_by(company)


class TestWorkflow:
    async def test_works_on_a_job_until_it_is_done(
        self, company: Shop, other_company: Shop, runner: Runner, temporal_server: TemporalServer
    ) -> None:
        client = await Client.connect(temporal_server.url, data_converter=pydantic_data_converter)
        start = starter(cast(Temporal, SimpleNamespace(client=client)), "contacts", "jobs")
        refs = [await put_by(company), await put_by(other_company)]
        async with JobActivities(task_queue("contacts", "jobs"), runner.advance).worker(client):
            for ref in [*refs, *refs]:  # twice: it has one all the same
                await eventually(partial(start, ref))
            for ref, who in zip(refs, (company, other_company), strict=True):
                handle = client.get_workflow_handle(workflow_id("contacts", ref))
                await handle.result()
                assert await state(who) == ("completed", ROWS, ROWS)
                history = await handle.fetch_history()
                assert len(history.events) < 30
                replayer = Replayer(workflows=[JobWorkflow], data_converter=pydantic_data_converter)
                await replayer.replay_workflow(history)
        nobody = cast(Temporal, SimpleNamespace(client=None))
        assert not await starter(nobody, "contacts", "jobs")(refs[0])


class TestPurge:
    async def test_removes_what_was_kept_long_enough(
        self, company: Shop, other_company: Shop
    ) -> None:
        for who in (company, other_company):
            await put_by(who)
        expire = "UPDATE job_parts SET expires_at = now() - interval '1 second' RETURNING job_id"
        await company.rows(expire)
        async with company.database.system("jobs") as tx:
            assert not await repository.purge(tx, KEPT)
        assert await company.rows("SELECT * FROM job_parts") == []
        assert len(await other_company.rows("SELECT * FROM job_parts")) == 1

    async def test_removes_jobs_that_ended_long_ago_and_none_that_may_go_on(
        self, company: Shop, other_company: Shop
    ) -> None:
        old, recent = "now() - interval '31 days'", "now() - interval '29 days'"
        for who in (company, other_company):
            ended_at = {"completed": old, "failed": recent, "paused": "NULL"}
            for state_, finished_at in ended_at.items():
                ref = await put_by(who)
                await who.rows(
                    f"UPDATE jobs SET state = $2, created_at = {old},"  # noqa: S608
                    f" finished_at = {finished_at} WHERE id = $1 RETURNING id",
                    ref.id,
                    state_,
                )
                async with who.database.tenant(who.id) as tx:
                    errors = repository.part(tx, ref.id, ERRORS, 0, state_.encode(), 2 * KEPT)
                    await repository.put(tx, [errors])
        async with company.database.system("jobs") as tx:
            assert not await repository.purge(tx, KEPT)
        for who in (company, other_company):
            left = await who.rows("SELECT state FROM jobs ORDER BY state")
            assert [job["state"] for job in left] == ["failed", "paused"]
            files = await who.rows("SELECT content FROM job_parts WHERE file = 'errors'")
            assert {file["content"] for file in files} == {b"failed", b"paused"}

    async def test_keeps_a_job_as_long_as_operators_want(self, company: Shop) -> None:
        ref = await put_by(company)
        ended_at = "UPDATE jobs SET state = 'failed', finished_at = now() - interval '29 days'"
        await company.rows(f"{ended_at} WHERE id = $1 RETURNING id", ref.id)
        for days, left in ((30, 1), (28, 0)):
            async with company.database.system("jobs") as tx:
                await repository.purge(tx, timedelta(days=days))
            assert len(await company.rows("SELECT * FROM jobs")) == left

    async def test_keeps_what_was_wrong_with_rows_until_a_job_that_was_held_is_gone(
        self, company: Shop, service: Service
    ) -> None:
        kept = timedelta(days=1)
        runner = Runner(service.database, {KIND: Imports("BR", kept)})
        ref = await put_by(company, "telefone\n" + "1\n" * (BATCH_ROWS + 1))
        assert await runner.advance(ref, is_over=after(1))
        await company.rows(
            "UPDATE job_parts SET expires_at = expires_at - interval '29 days' RETURNING job_id"
        )
        async with company.database.system("jobs") as tx:
            await repository.purge(tx, kept)
        assert not await runner.advance(ref)
        assert (await company.value(GetImport(import_id=ref.id)))["errors"] == BATCH_ROWS + 1
        assert len(await errors_of(company, ref.id)) == 1 + BATCH_ROWS + 1


def test_ids_of_workflows_are_of_one_job() -> None:
    one = JobRef(tenant_id="t", id=UUID(int=1), kind="import")
    assert workflow_id("contacts", one) == f"contacts-import-{UUID(int=1)}"

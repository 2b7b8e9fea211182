"""Many at once: contacts made in one request, and a message to all who are on a list."""

from crm_fakes.waha import WahaSimulator

from e2e.crm import BusyError, Json, Tenant, eventually
from e2e.stack import Platform

PEOPLE = 40


async def job(tenant: Tenant, path: str) -> Json:
    """How far it is; asked again where a service that was killed is not back yet."""

    async def look() -> Json | None:
        try:
            found: Json = await tenant.get(path)
        except BusyError:
            return None
        return found

    return await eventually(look, f"answer about {path}", every=0.2)


async def reached(tenant: Tenant, path: str, done: int) -> Json:
    async def look() -> Json | None:
        found = await job(tenant, path)
        return found if found["done"] >= done else None

    return await eventually(look, f"{done} done", seconds=180, every=0.2)


class TestBulkSend:
    async def test_each_on_a_list_gets_it_once_whoever_is_killed(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        people = [
            {"op": "create", "name": f"P {n}", "phone": f"+55119777{n:05}"} for n in range(PEOPLE)
        ]
        made = await tenant.post("/contacts/bulk", {"operations": people}, expect=200)
        assert made["errors"] == 0
        ids = [item["contact"]["id"] for item in made["data"]]
        listed = await tenant.post("/contact-lists", {"name": "Todos"})
        await tenant.post(
            f"/contact-lists/{listed['id']}/contacts", {"contact_ids": ids}, expect=200
        )
        await tenant.request(
            "PUT", f"/contacts/{ids[0]}/opt-outs/all", 200, json={"reason": "asked"}
        )
        body = {"channel_id": channel.id, "list_id": listed["id"], "content": "Abrimos sábado."}
        once = {"headers": {"Idempotency-Key": "once"}}
        begun = await tenant.request("POST", "/messages/send-bulk", 201, json=body, **once)
        again = await tenant.request("POST", "/messages/send-bulk", 201, json=body, **once)
        assert again == begun
        path = f"/bulk-sends/{begun['id']}"
        for service, done in (("messaging", 5), ("channels-waha", 15)):
            await reached(tenant, path, done)
            platform.kill(service)
            await platform.healthy(service)
        held = await eventually(lambda: _held(tenant, path), "pause", every=0.2)
        assert held["state"] == "paused"
        await tenant.post(f"{path}/resume", expect=200)
        ended = await reached(tenant, path, PEOPLE)

        async def over() -> bool:
            return bool((await job(tenant, path))["state"] == "completed")

        await eventually(over, "end of the bulk send")
        assert (ended["total"], ended["errors"]) == (PEOPLE, 1)
        sent = [message.chat for message in waha.sent.values()]
        assert len(sent) == len(set(sent)) == PEOPLE - 1
        assert {message.times for message in waha.sent.values()} == {1}
        rows = await tenant.rows(f"{path}/recipients")
        refused = [row for row in rows if row["status"] == "refused"]
        assert [(row["contact_id"], row["code"]) for row in refused] == [
            (ids[0], "contact_opted_out")
        ]
        log = await tenant.rows("/audit-log")
        assert [entry["action"] for entry in log if entry["action"].startswith("bulk.")] == [
            *("bulk.resume", "bulk.pause", "bulk.send")
        ]


async def _held(tenant: Tenant, path: str) -> Json | None:
    try:
        found: Json = await tenant.post(f"{path}/pause", expect=200)
    except BusyError:
        return None
    return found

import base64
import hashlib
import json

from shared_events import definitions, topology
from shared_events.services import CONTACTS

PASSWORD = "never-in-a-file"


class TestBus:
    def test_is_complete(self) -> None:
        document = definitions.bus("crm", partitions=3)
        queues = {queue["name"]: queue["arguments"] for queue in document["queues"]}
        assert set(queues) == {
            one.name
            for queue in topology.QUEUES
            for one in (*queue.partitions(3), queue.dead_letters)
        }
        exchanges = {exchange["name"] for exchange in document["exchanges"]}
        assert {exchange.name for exchange in topology.SHARED_EXCHANGES} <= exchanges
        for arguments in queues.values():
            assert arguments.get("x-dead-letter-exchange", "domain.events") in exchanges

    def test_binds_what_it_declares(self) -> None:
        document = definitions.bus("crm")
        exchanges = {exchange["name"] for exchange in document["exchanges"]}
        destinations = {"queue": {q["name"] for q in document["queues"]}, "exchange": exchanges}
        for binding in document["bindings"]:
            assert binding["source"] in exchanges
            assert binding["destination"] in destinations[binding["destination_type"]]
        bound = {b["destination"] for b in document["bindings"] if b["destination_type"] == "queue"}
        assert bound == destinations["queue"]

    def test_gives_every_slot_of_what_is_split_to_one_partition(self) -> None:
        document = definitions.bus("crm", partitions=3)
        exchanges = {e["name"]: e for e in document["exchanges"]}
        spread = exchanges["waha.messages.slots"]
        assert spread["type"] == "headers"
        assert spread["arguments"] == {"alternate-exchange": "waha.messages.slotless"}
        bound = [b for b in document["bindings"] if b["source"] == spread["name"]]
        assert {b["destination"] for b in bound} == {f"waha.messages.{n}" for n in range(3)}
        slots = [b["arguments"] for b in bound]
        assert sorted(a["slot"] for a in slots) == list(range(64))
        assert {a["x-match"] for a in slots} == {"all"}
        (rest,) = [b for b in document["bindings"] if b["source"] == "waha.messages.slotless"]
        assert rest["destination"] == "waha.messages.0"

    def test_leaves_out_what_comes_and_goes(self) -> None:
        names = {queue["name"] for queue in definitions.bus("crm")["queues"]}
        assert topology.request_queue(CONTACTS, "query").name not in names


class TestUser:
    def test_has_its_password_as_a_salted_hash(self) -> None:
        document = definitions.user("crm", CONTACTS, PASSWORD)
        assert PASSWORD not in json.dumps(document)
        (user,) = document["users"]
        raw = base64.b64decode(user["password_hash"])
        assert raw[4:] == hashlib.sha256(raw[:4] + PASSWORD.encode()).digest()
        assert definitions.user("crm", CONTACTS, PASSWORD)["users"] != document["users"]

    def test_may_administrate_nothing(self) -> None:
        (user,) = definitions.user("crm", CONTACTS, PASSWORD)["users"]
        assert user["tags"] == []


class TestTogether:
    def test_is_one_document(self) -> None:
        parts = [definitions.bus("crm"), definitions.administrator("crm", "admin", PASSWORD)]
        document = definitions.together([*parts, definitions.user("crm", CONTACTS, PASSWORD)])
        assert [user["name"] for user in document["users"]] == ["admin", "crm_contacts"]
        assert document["queues"] == parts[0]["queues"]

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

    def test_spreads_what_is_split_by_its_header(self) -> None:
        document = definitions.bus("crm", partitions=3)
        spreads = {e["name"]: e for e in document["exchanges"] if e["type"] != "topic"}
        assert spreads["waha.messages"]["arguments"] == {"hash-header": "channel_id"}
        bound = [b for b in document["bindings"] if b["source"] == "waha.messages"]
        assert {(b["destination"], b["routing_key"]) for b in bound} == {
            (f"waha.messages.{n}", "1") for n in range(3)
        }

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

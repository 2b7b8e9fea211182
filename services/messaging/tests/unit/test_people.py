from uuid import uuid4

from crm_messaging.replicas.people import Known, Person, owners
from shared_events.identity import WhatsAppId, contact_id

PHONE = WhatsAppId("phone", "5511988880001")
ALIAS = WhatsAppId("phone", "551188880001")
LID = WhatsAppId("lid", "123456789")


class TestOwners:
    def test_strongest_identity_names_an_unknown_contact(self) -> None:
        (owner,), new, renamed = owners("t", [Person((PHONE, LID))], {})
        assert owner == contact_id("t", PHONE)
        assert {known.contact_id for known in new.values()} == {owner}
        assert set(new) == {("phone", "5511988880001"), ("lid", "123456789")}
        assert not renamed

    def test_known_weaker_identity_decides(self) -> None:
        known = {("lid", "123456789"): Known(uuid4(), "123456789")}
        (owner,), new, _ = owners("t", [Person((PHONE, LID))], known)
        assert owner == known[("lid", "123456789")].contact_id
        assert new[("phone", "5511988880001")].contact_id == owner

    def test_strongest_known_identity_wins(self) -> None:
        phone, lid = Known(uuid4(), PHONE.value), Known(uuid4(), LID.value)
        known = {("phone", PHONE.value): phone, ("lid", LID.value): lid}
        (owner,), new, _ = owners("t", [Person((PHONE, LID))], known)
        assert owner == phone.contact_id
        assert not new

    def test_learns_within_one_batch(self) -> None:
        people = [Person((LID,)), Person((PHONE, LID)), Person((PHONE,))]
        found, _, _ = owners("t", people, {})
        assert set(found) == {contact_id("t", LID)}

    def test_alias_is_the_same_identity_with_another_value(self) -> None:
        known = {("phone", "5511988880001"): Known(uuid4(), "5511988880001")}
        _, new, renamed = owners("t", [Person((ALIAS,))], known)
        assert not new
        assert renamed[("phone", "5511988880001")].value == "551188880001"

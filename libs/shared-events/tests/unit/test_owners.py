"""Whose message it is: the rule that contacts and messaging apply each by itself."""

from uuid import UUID, uuid4

from shared_events.identity import Owned, TenantIdentity, WhatsAppId, contact_id, owners

PHONE = WhatsAppId("phone", "5511988880001")
ALIAS = WhatsAppId("phone", "551188880001")
LID = WhatsAppId("lid", "123456789")
MY_PHONE, MY_LID = ("t", PHONE.key), ("t", LID.key)


class TestOwners:
    def test_strongest_identity_names_an_unknown_contact(self) -> None:
        found = owners([("t", (PHONE, LID))], {})
        assert found.contacts == [contact_id("t", PHONE)]
        assert found.new == {
            MY_PHONE: Owned(found.contacts[0], PHONE.value),
            MY_LID: Owned(found.contacts[0], LID.value),
        }
        assert not found.renamed

    def test_known_weaker_identity_decides(self) -> None:
        known = {MY_LID: Owned(uuid4(), LID.value)}
        found = owners([("t", (PHONE, LID))], known)
        assert found.contacts == [known[MY_LID].contact_id]
        assert found.new == {MY_PHONE: Owned(found.contacts[0], PHONE.value)}

    def test_strongest_known_identity_wins_and_takes_nothing_from_the_other(self) -> None:
        phone, lid = Owned(uuid4(), PHONE.value), Owned(uuid4(), LID.value)
        found = owners([("t", (PHONE, LID))], {MY_PHONE: phone, MY_LID: lid})
        assert found.contacts == [phone.contact_id]
        assert not found.new
        assert not found.renamed

    def test_learns_within_one_batch(self) -> None:
        found = owners([("t", (LID,)), ("t", (PHONE, LID)), ("t", (PHONE,))], {})
        assert set(found.contacts) == {contact_id("t", LID)}

    def test_alias_is_the_same_identity_with_another_value(self) -> None:
        known = {MY_PHONE: Owned(uuid4(), PHONE.value)}
        found = owners([("t", (ALIAS,))], known)
        assert not found.new
        assert found.renamed == {MY_PHONE: Owned(known[MY_PHONE].contact_id, ALIAS.value)}

    def test_alias_of_somebody_new_in_the_batch_is_recorded_as_last_seen(self) -> None:
        found = owners([("t", (PHONE,)), ("t", (ALIAS,))], {})
        assert found.new == {MY_PHONE: Owned(found.contacts[0], ALIAS.value)}
        assert not found.renamed

    def test_batches_agree_with_one_message_at_a_time(self) -> None:
        seen = [(LID,), (PHONE, LID), (ALIAS,), (WhatsAppId("phone", "5511988880002"), LID)]
        together = owners([("t", person) for person in seen], {}).contacts
        known: dict[TenantIdentity, Owned] = {}
        alone: list[UUID] = []
        for person in seen:
            found = owners([("t", person)], known)
            alone += found.contacts
            known |= found.new | found.renamed
        assert alone == together

    def test_tenants_in_one_batch_have_nothing_in_common(self) -> None:
        seen = [(tenant, person) for person in ((LID,), (PHONE, LID)) for tenant in ("t", "u")]
        together = owners(seen, {})
        assert together.contacts == [contact_id(tenant, LID) for tenant in ("t", "u", "t", "u")]
        for tenant in ("t", "u"):
            alone = owners([one for one in seen if one[0] == tenant], {})
            assert {k: v for k, v in together.new.items() if k[0] == tenant} == alone.new

"""Whose message it is: the rule that contacts and messaging apply each by itself."""

from uuid import UUID, uuid4

from shared_events.identity import IdentityKey, Owned, WhatsAppId, contact_id, owners

PHONE = WhatsAppId("phone", "5511988880001")
ALIAS = WhatsAppId("phone", "551188880001")
LID = WhatsAppId("lid", "123456789")


class TestOwners:
    def test_strongest_identity_names_an_unknown_contact(self) -> None:
        found = owners("t", [(PHONE, LID)], {})
        assert found.contacts == [contact_id("t", PHONE)]
        assert found.new == {
            PHONE.key: Owned(found.contacts[0], PHONE.value),
            LID.key: Owned(found.contacts[0], LID.value),
        }
        assert not found.renamed

    def test_known_weaker_identity_decides(self) -> None:
        known = {LID.key: Owned(uuid4(), LID.value)}
        found = owners("t", [(PHONE, LID)], known)
        assert found.contacts == [known[LID.key].contact_id]
        assert found.new == {PHONE.key: Owned(found.contacts[0], PHONE.value)}

    def test_strongest_known_identity_wins_and_takes_nothing_from_the_other(self) -> None:
        phone, lid = Owned(uuid4(), PHONE.value), Owned(uuid4(), LID.value)
        found = owners("t", [(PHONE, LID)], {PHONE.key: phone, LID.key: lid})
        assert found.contacts == [phone.contact_id]
        assert not found.new
        assert not found.renamed

    def test_learns_within_one_batch(self) -> None:
        found = owners("t", [(LID,), (PHONE, LID), (PHONE,)], {})
        assert set(found.contacts) == {contact_id("t", LID)}

    def test_alias_is_the_same_identity_with_another_value(self) -> None:
        known = {PHONE.key: Owned(uuid4(), PHONE.value)}
        found = owners("t", [(ALIAS,)], known)
        assert not found.new
        assert found.renamed == {PHONE.key: Owned(known[PHONE.key].contact_id, ALIAS.value)}

    def test_alias_of_somebody_new_in_the_batch_is_recorded_as_last_seen(self) -> None:
        found = owners("t", [(PHONE,), (ALIAS,)], {})
        assert found.new == {PHONE.key: Owned(found.contacts[0], ALIAS.value)}
        assert not found.renamed

    def test_batches_agree_with_one_message_at_a_time(self) -> None:
        seen = [(LID,), (PHONE, LID), (ALIAS,), (WhatsAppId("phone", "5511988880002"), LID)]
        together = owners("t", seen, {}).contacts
        known: dict[IdentityKey, Owned] = {}
        alone: list[UUID] = []
        for person in seen:
            found = owners("t", [person], known)
            alone += found.contacts
            known |= found.new | found.renamed
        assert alone == together

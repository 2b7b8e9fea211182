"""Whose message it is: the rule that contacts and messaging apply each by itself."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from shared_events.identity import (
    Forgotten,
    Owned,
    TenantIdentity,
    WhatsAppId,
    contact_id,
    digest,
    is_past,
    owners,
    released,
)

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
            known |= found.new | found.renamed | found.moved
        assert alone == together


class TestTyped:
    """What an agent typed may be mistyped; what a message shows is so."""

    def test_decides_where_nothing_is_proved_and_is_proved_by_it(self) -> None:
        typed = Owned(uuid4(), PHONE.value, proved=False)
        found = owners([("t", (PHONE, LID))], {MY_PHONE: typed})
        assert found.contacts == [typed.contact_id]
        assert found.renamed == {MY_PHONE: Owned(typed.contact_id, PHONE.value)}
        assert found.new == {MY_LID: Owned(typed.contact_id, LID.value)}
        assert not found.moved and not found.lost

    def test_yields_to_whom_the_same_message_proves_to_be_another(self) -> None:
        typed, proved = Owned(uuid4(), PHONE.value, proved=False), Owned(uuid4(), LID.value)
        found = owners([("t", (PHONE, LID))], {MY_PHONE: typed, MY_LID: proved})
        assert found.contacts == [proved.contact_id]
        assert found.moved == {MY_PHONE: Owned(proved.contact_id, PHONE.value)}
        assert found.lost == {MY_PHONE: typed.contact_id}
        assert not found.new and not found.renamed
        assert found.recorded(MY_PHONE) == proved.contact_id
        assert found.recorded(MY_LID) is None

    def test_moves_once_in_a_batch_and_remembers_whose_it_was(self) -> None:
        typed, proved = Owned(uuid4(), PHONE.value, proved=False), Owned(uuid4(), LID.value)
        seen = [("t", (PHONE, LID)), ("t", (ALIAS,))]
        found = owners(seen, {MY_PHONE: typed, MY_LID: proved})
        assert found.contacts == [proved.contact_id] * 2
        assert found.moved == {MY_PHONE: Owned(proved.contact_id, ALIAS.value)}
        assert found.lost == {MY_PHONE: typed.contact_id}

    def test_batches_agree_with_one_message_at_a_time(self) -> None:
        seen = [(LID,), (PHONE, LID), (ALIAS,), (PHONE,)]
        start = {MY_PHONE: Owned(uuid4(), PHONE.value, proved=False)}
        together = owners([("t", person) for person in seen], start).contacts
        known, alone = dict(start), list[UUID]()
        for person in seen:
            found = owners([("t", person)], known)
            alone += found.contacts
            known |= found.new | found.renamed | found.moved
        assert alone == together

    def test_released_leads_to_nobody_known(self) -> None:
        mistyped = contact_id("t", PHONE)
        next_id = released(mistyped, PHONE)
        assert next_id == released(mistyped, ALIAS)
        assert len({mistyped, next_id, released(next_id, PHONE), released(mistyped, LID)}) == 4

    def test_tenants_in_one_batch_have_nothing_in_common(self) -> None:
        seen = [(tenant, person) for person in ((LID,), (PHONE, LID)) for tenant in ("t", "u")]
        together = owners(seen, {})
        assert together.contacts == [contact_id(tenant, LID) for tenant in ("t", "u", "t", "u")]
        for tenant in ("t", "u"):
            alone = owners([one for one in seen if one[0] == tenant], {})
            assert {k: v for k, v in together.new.items() if k[0] == tenant} == alone.new


class TestForgotten:
    AT = datetime(2026, 1, 1, tzinfo=UTC)
    AFTER = Forgotten(uuid4(), AT)

    def test_identity_names_who_comes_after_in_its_own_company_alone(self) -> None:
        after = {MY_PHONE: self.AFTER}
        found = owners([("t", (PHONE, LID)), ("other", (PHONE,)), ("t", (LID,))], {}, after)
        next_id = self.AFTER.next_contact_id
        assert found.contacts == [next_id, contact_id("other", PHONE), next_id]
        assert found.new[MY_PHONE] == Owned(next_id, PHONE.value)

    def test_identity_on_record_again_decides(self) -> None:
        known = {MY_PHONE: Owned(uuid4(), PHONE.value)}
        found = owners([("t", (PHONE,))], known, {MY_PHONE: self.AFTER})
        assert found.contacts == [known[MY_PHONE].contact_id]

    def test_what_was_told_before_is_past_unless_somebody_is_known(self) -> None:
        person, after = ("t", (PHONE, LID)), {MY_PHONE: self.AFTER}
        early = self.AT - timedelta(seconds=1)
        assert is_past(person, early, {}, after)
        assert not is_past(person, self.AT, {}, after)
        assert not is_past(("other", (PHONE,)), early, {}, after)
        assert not is_past(person, early, {MY_LID: Owned(uuid4(), LID.value)}, after)

    def test_digest_is_of_the_canonical_identity_and_of_its_company(self) -> None:
        assert digest(("t", ALIAS.key)) == digest(MY_PHONE)
        assert len({digest(MY_PHONE), digest(MY_LID), digest(("other", PHONE.key))}) == 3
        assert PHONE.canonical not in digest(MY_PHONE)

import pytest
from crm_messaging.messages.address import chat_id_for, is_proved
from shared_events.identity import WhatsAppId

OLD = WhatsAppId("phone", "5511988880001")
NEW = WhatsAppId("phone", "5521977770002")
LID = WhatsAppId("lid", "99")


class TestChatIdFor:
    @pytest.mark.parametrize("identities", [[OLD, NEW, LID], [LID, NEW, OLD], [NEW, OLD, LID]])
    def test_current_phone_comes_first_whatever_the_order(
        self, identities: list[WhatsAppId]
    ) -> None:
        assert chat_id_for(NEW.phone, identities, None) == NEW.chat_id
        assert chat_id_for(OLD.phone, identities, None) == OLD.chat_id

    def test_is_written_exactly_as_whatsapp_reports_it(self) -> None:
        alias = WhatsAppId("phone", "551188880001")
        assert chat_id_for("+5511988880001", [LID, alias], None) == "551188880001@c.us"

    def test_falls_back_to_another_phone_then_to_the_lid(self) -> None:
        assert chat_id_for(None, [LID, OLD], None) == OLD.chat_id
        assert chat_id_for(None, [LID], None) == "99@lid"
        assert chat_id_for("+1", [LID], None) == "99@lid"

    def test_the_chat_last_written_in_wins_while_it_is_the_contacts(self) -> None:
        assert chat_id_for(NEW.phone, [NEW, LID], "99@lid") == "99@lid"
        assert chat_id_for(NEW.phone, [NEW, OLD], OLD.chat_id) == OLD.chat_id
        assert chat_id_for(NEW.phone, [NEW], OLD.chat_id) == NEW.chat_id
        assert chat_id_for(OLD.phone, [OLD], "551188880001@c.us") == "551188880001@c.us"

    def test_nothing_known_is_nowhere(self) -> None:
        assert chat_id_for(None, [], None) is None
        assert chat_id_for("+5511988880001", [], "5511988880001@c.us") is None


class TestIsProved:
    def test_goes_by_whose_chat_it_is_however_it_is_written(self) -> None:
        identities = {OLD: True, NEW: False, LID: True}
        assert is_proved(OLD.chat_id, identities)
        assert is_proved("551188880001@c.us", identities)
        assert not is_proved(NEW.chat_id, identities)
        assert is_proved(LID.chat_id, identities)
        assert not is_proved("5511999990009@c.us", identities)

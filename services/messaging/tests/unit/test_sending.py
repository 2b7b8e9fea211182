from crm_messaging.messages.service import chat_id_for
from shared_events.identity import WhatsAppId


class TestChatIdFor:
    def test_prefers_the_phone_exactly_as_whatsapp_reports_it(self) -> None:
        identities = [WhatsAppId("lid", "99"), WhatsAppId("phone", "551188880001")]
        assert chat_id_for(identities) == "551188880001@c.us"

    def test_falls_back_to_the_lid(self) -> None:
        assert chat_id_for([WhatsAppId("lid", "99")]) == "99@lid"

    def test_nothing_known_is_nowhere(self) -> None:
        assert chat_id_for([]) is None

import pytest
from crm_webhooks.endpoints import rules
from service_kit.errors import InvalidError


def code_of(headers: dict[str, str]) -> str | None:
    try:
        rules.check_headers(headers)
    except InvalidError as error:
        return error.problem.errors[0].code
    return None


class TestHeaders:
    @pytest.mark.parametrize(
        "name",
        [
            "Host",
            "content-length",
            "Content-Type",
            "Transfer-Encoding",
            "connection",
            "webhook-signature",
            "Webhook-Id",
            "X-Webhook-Signature",
            "Proxy-Authorization",
            "TE",
            "User-Agent",
            "traceparent",
        ],
    )
    def test_ours_are_refused(self, name: str) -> None:
        assert code_of({name: "x"}) == "header_not_allowed"

    @pytest.mark.parametrize(
        "headers",
        [{"X-A": "b\r\nwebhook-id: 1"}, {"X-A\n": "b"}, {"X A": "b"}, {"": "b"}, {"X-A": "é"}],
    )
    def test_what_is_no_header_is_refused(self, headers: dict[str, str]) -> None:
        assert code_of(headers) == "header_malformed"

    def test_the_same_name_twice_is_refused(self) -> None:
        assert code_of({"X-A": "1", "x-a": "2"}) == "header_repeated"

    def test_others_pass(self) -> None:
        assert code_of({"Authorization": "Bearer x", "X-Team": "sales"}) is None

    def test_every_value_is_hidden_and_survives_being_sent_back(self) -> None:
        stored = {"Authorization": "Bearer x", "X-Team": "sales", "X-Pwd": "1", "X-Bearer": "2"}
        shown = rules.shown(stored)
        assert set(shown.values()) == {rules.HIDDEN}
        assert rules.unhidden(shown, stored) == stored

    def test_names_are_the_same_in_upper_and_lower_case(self) -> None:
        back = rules.unhidden({"authorization": rules.HIDDEN}, {"Authorization": "Bearer x"})
        assert back == {"authorization": "Bearer x"}

    def test_a_hidden_value_we_do_not_have_is_refused(self) -> None:
        with pytest.raises(InvalidError) as refused:
            rules.unhidden({"X-New": rules.HIDDEN}, {"Authorization": "Bearer x"})
        (error,) = refused.value.problem.errors
        assert (error.pointer, error.code) == ("/headers/X-New", "header_hidden")


class TestLeadsElsewhere:
    @pytest.mark.parametrize(
        ("url", "elsewhere"),
        [
            ("https://a.test/other?x=1", False),
            ("https://a.test:443/", False),
            ("https://A.test/", False),
            ("http://a.test/", True),
            ("https://a.test:8443/", True),
            ("https://b.test/", True),
            ("https://a.test.evil.test/", True),
        ],
    )
    def test_is_scheme_host_or_port(self, url: str, elsewhere: bool) -> None:
        assert rules.leads_elsewhere(url, "https://a.test/hook") is elsewhere


class TestEventTypes:
    def test_an_exact_type_must_exist(self) -> None:
        rules.check_event_types(["*", "message.*", "message.received"])
        with pytest.raises(InvalidError) as refused:
            rules.check_event_types(["*", "message.recieved"])
        assert refused.value.problem.errors[0].pointer == "/event_types/1"
        assert refused.value.problem.errors[0].code == "unknown_event_type"

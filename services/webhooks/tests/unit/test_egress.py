"""The egress rule, literal by literal, and at the moment of dialling."""

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_webhooks.deliveries import attempt
from crm_webhooks.deliveries.egress import Egress, acceptable_url
from pydantic import HttpUrl, TypeAdapter

CLOSED = Egress()
LOOPBACK = Egress([ip_network("127.0.0.0/8")])


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "0.0.0.0",  # noqa: S104
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ],
    )
    def test_refuses_what_is_not_public(self, address: str) -> None:
        assert not CLOSED.allows_address(ip_address(address))

    @pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111"])
    def test_allows_public_ones(self, address: str) -> None:
        assert CLOSED.allows_address(ip_address(address))

    def test_operator_may_allow_a_network(self) -> None:
        assert LOOPBACK.allows_address(ip_address("127.0.0.1"))
        assert not LOOPBACK.allows_address(ip_address("10.0.0.1"))
        assert not LOOPBACK.allows_address(ip_address("::ffff:127.0.0.1"))


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://100.64.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost/",
            "http://localhost./",
            "http://LOCALHOST/",
            "http://db.localhost/",
            "http://user@example.com/",
            "http://example.com:pw@127.0.0.1/",
            "http://metadata/",
            "http://metadata.google.internal/",
            "http://printer.local/",
        ],
    )
    def test_refuses(self, url: str) -> None:
        saved = str(TypeAdapter(HttpUrl).validate_python(url))
        assert not acceptable_url(saved, CLOSED, plain_http=True)

    def test_plain_http_is_for_development(self) -> None:
        assert acceptable_url("https://example.com/hook?a=b", CLOSED, plain_http=False)
        assert not acceptable_url("http://example.com/", CLOSED, plain_http=False)
        assert not acceptable_url("ftp://example.com/", CLOSED, plain_http=True)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to."""
    answers: dict[str, list[str]] = {}

    def look_up(host: str, port: int, *_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


class TestDialling:
    async def post(self, egress: Egress, url: str) -> attempt.Result:
        async with egress.session() as session:
            return await attempt.post(session, url, {}, b"{}", timeout=2)

    async def test_dials_an_allowed_name(self, names: dict[str, list[str]]) -> None:
        names["shop.test"] = ["127.0.0.1"]
        async with WebhookReceiver() as receiver:
            result = await self.post(LOOPBACK, f"http://shop.test:{receiver.port}/")
        assert result.delivered

    async def test_refuses_a_name_that_leads_inside(self, names: dict[str, list[str]]) -> None:
        names["rebound.test"] = ["127.0.0.1"]
        async with WebhookReceiver() as receiver:
            result = await self.post(CLOSED, f"http://rebound.test:{receiver.port}/")
            assert not len(receiver.requests)
        assert result.error == "ssrf_blocked"

    async def test_one_bad_answer_refuses_the_name(self, names: dict[str, list[str]]) -> None:
        names["mixed.test"] = ["127.0.0.1", "10.0.0.1"]
        async with WebhookReceiver() as receiver:
            result = await self.post(LOOPBACK, f"http://mixed.test:{receiver.port}/")
            assert not len(receiver.requests)
        assert result.error == "ssrf_blocked"

    async def test_literals_meet_the_socket_factory(self) -> None:
        async with WebhookReceiver() as receiver:
            result = await self.post(CLOSED, receiver.url)
            assert not len(receiver.requests)
        assert result.error == "ssrf_blocked"

"""The egress rule, literal by literal, and at the moment of dialling."""

import asyncio
import socket
from ipaddress import ip_address, ip_network
from typing import Any

import aiohttp
import pytest
from crm_fakes.receiver import WebhookReceiver
from pydantic import HttpUrl, TypeAdapter
from pydantic_settings import BaseSettings
from service_kit.dialling import open_session
from service_kit.egress import AllowedNetworks, Egress, ForbiddenAddressError

CLOSED = Egress()
LOOPBACK = Egress([ip_network("127.0.0.0/8")])
INSIDE = Egress([ip_network("10.0.0.0/8")])


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
            "::ffff:0:7f00:1",
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
            "http://rabbitmq:15672/",
            "http:///postgres",
            "http://kubernetes.default.svc/",
            "http://kubernetes.default.svc./",
            "http://localhost.localdomain/",
            "http://a..example.com/",
            "http://.example.com/",
            f"http://{'a' * 64}.example.com/",
        ],
    )
    def test_refuses(self, url: str) -> None:
        saved = str(TypeAdapter(HttpUrl).validate_python(url))
        assert not CLOSED.allows_url(saved, plain_http=True)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "http://",
            "http:///x",
            "//example.com/",
            "http://[::1",
            "http://[zz]/",
            "http://a:b:c/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://１２７.0.0.1/",
            "\ud83d",
        ],
    )
    def test_refuses_what_no_form_has_normalised(self, url: str) -> None:
        assert not CLOSED.allows_url(url, plain_http=True)

    def test_plain_http_is_for_development(self) -> None:
        assert CLOSED.allows_url("https://example.com/hook?a=b", plain_http=False)
        assert not CLOSED.allows_url("http://example.com/", plain_http=False)
        assert not CLOSED.allows_url("ftp://example.com/", plain_http=True)

    def test_private_names_are_for_whoever_reaches_a_private_network(self) -> None:
        url = "http://waha.crm.svc.cluster.local:3000/"
        assert INSIDE.allows_url(url, plain_http=True)
        assert not LOOPBACK.allows_url(url, plain_http=True)
        assert not INSIDE.allows_url("http://metadata.google.internal/", plain_http=True)
        assert not INSIDE.allows_url("http://169.254.169.254/", plain_http=True)


class TestSetting:
    class Settings(BaseSettings):
        allowed: AllowedNetworks = None

    def rule(self, *, is_production: bool) -> Egress:
        return Egress.by_setting(self.Settings().allowed, is_production=is_production)

    def test_is_a_list_of_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALLOWED", "10.0.0.0/8, fd00::/8,")
        rule = self.rule(is_production=True)
        assert rule.allows_address(ip_address("10.1.2.3"))
        assert rule.allows_address(ip_address("fd00::1"))
        assert not rule.allows_address(ip_address("127.0.0.1"))

    def test_left_out_it_is_loopback_outside_production(self) -> None:
        loopback = ip_address("127.0.0.1")
        assert self.rule(is_production=False).allows_address(loopback)
        assert not self.rule(is_production=True).allows_address(loopback)

    def test_empty_it_is_public_addresses_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALLOWED", "")
        assert not self.rule(is_production=False).allows_address(ip_address("127.0.0.1"))


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
    async def post(self, egress: Egress, url: str) -> int | BaseException:
        """The status of the answer, or why there is none."""
        async with open_session(egress) as session, asyncio.timeout(60):
            try:
                async with session.post(url) as response:
                    return response.status
            except aiohttp.ClientConnectorError as error:
                return error.os_error

    async def test_dials_an_allowed_name(self, names: dict[str, list[str]]) -> None:
        names["shop.test"] = ["127.0.0.1"]
        async with WebhookReceiver() as receiver:
            assert await self.post(LOOPBACK, f"http://shop.test:{receiver.port}/") == 200

    async def test_refuses_a_name_that_leads_inside(self, names: dict[str, list[str]]) -> None:
        names["rebound.test"] = ["127.0.0.1"]
        async with WebhookReceiver() as receiver:
            result = await self.post(CLOSED, f"http://rebound.test:{receiver.port}/")
            assert not len(receiver.requests)
        assert isinstance(result, ForbiddenAddressError)

    async def test_one_bad_answer_refuses_the_name(self, names: dict[str, list[str]]) -> None:
        names["mixed.test"] = ["127.0.0.1", "10.0.0.1"]
        async with WebhookReceiver() as receiver:
            result = await self.post(LOOPBACK, f"http://mixed.test:{receiver.port}/")
            assert not len(receiver.requests)
        assert isinstance(result, ForbiddenAddressError)

    async def test_literals_meet_the_socket_factory(self) -> None:
        async with WebhookReceiver() as receiver:
            result = await self.post(CLOSED, receiver.url)
            assert not len(receiver.requests)
        assert isinstance(result, ForbiddenAddressError)

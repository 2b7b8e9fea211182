"""What is written to people, and how it is handed to a mail server."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from crm_fakes.mail import DROP, MailServer, Stage
from crm_gateway.app import create_service
from crm_gateway.mail.languages import preferred
from crm_gateway.mail.letters import Letter, Letters
from crm_gateway.mail.mailer import LetterRefusedError, LoggingMailer, MailerAwayError, SmtpMailer
from crm_gateway.mail.settings import MailSettings, Security, SmtpServer
from crm_gateway.settings import GatewaySettings
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from service_kit.settings import ConfigurationError
from structlog.testing import capture_logs

SENDER = Address("Ventros, São Paulo", addr_spec="no-reply@example.com")
LETTERS = Letters("https://crm.example.com/app")


class TestLanguages:
    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
            ("de-DE, en-GB;q=0.5, pt;q=0.7", "pt-BR"),
            ("EN-us", "en"),
            ("pt;q=0, en;q=0.1", "en"),
            ("en;q=x, pt-PT;level=1;q=2, *", None),
            ("de, *;q=0.1", None),
            ("", None),
        ],
    )
    def test_the_one_that_is_liked_best(self, header: str, language: str | None) -> None:
        assert preferred(header) == language


class TestLetters:
    def test_say_the_same_in_each_language(self) -> None:
        token = "T" * 43
        name = "Ana $token\r\n\r\nBuy at http://evil.example"
        english, portuguese = (
            LETTERS.password_reset(
                language,
                to="a@example.com",
                name=name,
                token=token,
                good_for=timedelta(minutes=61),
            )
            for language in ("en", "pt-BR")
        )
        link = f"https://crm.example.com/app/reset-password#token={token}\n"
        for letter in (english, portuguese):
            assert f"\n{link}" in letter.text
            assert "61 minut" in letter.text
            assert ", Ana $token Buy at http://evil.example,\n" in letter.text.replace(
                "o Ana", "o, Ana"
            )
        assert english.subject != portuguese.subject
        assert "senha" in portuguese.text and "senha" not in english.text
        invited = LETTERS.invitation(
            "pt-BR",
            to="a@example.com",
            name="Bia",
            company="C" * 255,
            token=token,
            good_for=timedelta(days=7),
        )
        assert f"\n{'C' * 255} criou" in invited.text
        assert f"\nhttps://crm.example.com/app/accept-invitation#token={token}\n" in invited.text
        assert "7 dias" in invited.text

    def test_a_stranger_is_told_nothing_that_somebody_else_has_chosen(self) -> None:
        token = "T" * 43
        english, portuguese = (
            LETTERS.email_verification(
                language, to="a@example.com", token=token, good_for=timedelta(hours=24)
            )
            for language in ("en", "pt-BR")
        )
        for letter in (english, portuguese):
            assert f"\nhttps://crm.example.com/app/verify-email#token={token}\n" in letter.text
            assert "24 ho" in letter.text and letter.to not in letter.text
        assert english.text.startswith("Hello,\n") and portuguese.text.startswith("Olá,\n")
        assert english.subject != portuguese.subject


def settings_of(**given: str) -> MailSettings:
    return MailSettings.model_validate(given)


WHOLE = {
    "smtp_url": "smtps://ana%40example.com:p%2Fw@mail.example.com",
    "mail_from": "Ventros <no-reply@example.com>",
    "public_url": "https://crm.example.com/app/",
}


class TestSettings:
    def test_name_a_server_and_a_sender(self) -> None:
        settings = settings_of(**WHOLE)
        assert settings.smtp_server == SmtpServer(
            "mail.example.com", 465, "tls", "ana@example.com", "p/w"
        )
        assert "p/w" not in repr(settings.smtp_server)
        assert settings.mail_pages == "https://crm.example.com/app"
        assert str(settings.mail_sender) == "Ventros <no-reply@example.com>"
        plain = settings_of(smtp_url="smtp+plain://relay").smtp_server
        assert plain == SmtpServer("relay", 25, "none")
        started = settings_of(smtp_url="smtp://relay:2525").smtp_server
        assert started == SmtpServer("relay", 2525, "starttls")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"smtp_url": "https://user:hunter2@mail.example.com"},
            {"smtp_url": "smtp://user:hunter2"},
            {"smtp_url": "smtp://user:hun/ter2@mail.example.com"},
            {"smtp_url": "smtp://[hunter2@mail"},
            {"mail_from": "no-reply"},
            {"public_url": "crm.example.com"},
            {"public_url": "https://crm.example.com/?a=1"},
            {"public_url": "ftp://crm.example.com"},
        ],
    )
    def test_that_cannot_be_are_refused_without_a_secret(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ValidationError) as refused:
            settings_of(**wrong)
        (error,) = refused.value.errors()
        assert "hun" not in error["msg"] and "ter2" not in error["msg"]

    @pytest.mark.parametrize("name", ["smtp_url", "mail_from", "public_url"])
    def test_in_part_they_start_nothing(
        self, make_settings: Callable[..., GatewaySettings], name: str
    ) -> None:
        part = {**WHOLE, name: ""}
        with pytest.raises(ConfigurationError, match=f"{name.upper()} is missing"):
            create_service(make_settings(**part))
        assert any(name.upper() in problem for problem in settings_of(**part).problems())

    def test_of_production_are_safe(self) -> None:
        def mentioned(**changed: str) -> set[str]:
            found = "\n".join(settings_of(**{**WHOLE, **changed}).problems())
            return {name.upper() for name in WHOLE if name.upper() in found}

        assert mentioned() == set()
        assert mentioned(public_url="http://crm.example.com") == {"PUBLIC_URL"}
        assert mentioned(smtp_url="smtp+plain://a:b@relay") == {"SMTP_URL"}
        assert mentioned(smtp_url="smtp+plain://relay") == set()


class TestWithoutAServer:
    def test_nobody_is_asked_for_a_proof(
        self, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        asks = make_settings(crm_env="production", require_verified_email=True)
        assert any("REQUIRE_VERIFIED_EMAIL needs SMTP_URL" in each for each in asks.problems())
        able = make_settings(crm_env="production", require_verified_email=True, **WHOLE)
        assert not any("REQUIRE_VERIFIED_EMAIL" in each for each in able.problems())

    async def test_production_says_that_it_mails_nothing(
        self, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        service = create_service(make_settings(crm_env="production"))
        transport = httpx.ASGITransport(service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.post(
                "/api/v1/auth/password/forgot", json={"email": "ana@example.com"}
            )
        assert (answer.status_code, answer.json()["code"]) == (503, "mail_not_configured")

    async def test_development_finds_the_link_in_the_log(self) -> None:
        with capture_logs() as said:
            await LoggingMailer().send(uuid4(), letter_to("a@example.com", "https://x/#token=t"))
        assert "https://x/#token=t" in said[0]["says"]


def mailer_to(
    server: MailServer, security: Security = "none", user: str | None = None, password: str = ""
) -> SmtpMailer:
    given = SmtpServer(server.host, server.port, security, user, password)
    return SmtpMailer(given, SENDER)


def letter_to(address: str, text: str = "Olá") -> Letter:
    return Letter(address, "Você foi convidado(a)", text)


LETTER = letter_to("bia@example.com")


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for loopback that clients believe."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class TestSmtp:
    async def test_a_letter_arrives_as_it_was_written(self) -> None:
        longest = f"{'l' * 64}@{'.'.join(['d' * 63] * 2)}.{'e' * 57}.com"
        text = f"Olá, {'ç' * 255},\n\n.\nhttps://crm.example.com/#token={'t' * 500}\n"
        mail_id = uuid4()
        async with MailServer() as server:
            await mailer_to(server).send(mail_id, letter_to(longest, text))
        (received,) = server.received
        assert received.recipients == (longest,)
        assert received.text == text
        headers = received.message
        assert str(headers["from"]) == '"Ventros, São Paulo" <no-reply@example.com>'
        assert str(headers["to"]) == longest
        assert str(headers["subject"]) == "Você foi convidado(a)"
        assert headers["message-id"] == f"<{mail_id}@example.com>"
        assert headers["auto-submitted"] == "auto-generated"

    async def test_to_an_address_of_another_script(self) -> None:
        async with MailServer() as server:
            await mailer_to(server).send(uuid4(), letter_to("joão@exemplo.com.br"))
        assert server.received[0].recipients == ("joão@exemplo.com.br",)

    @pytest.mark.parametrize(
        ("stage", "answer", "error"),
        [
            ("RCPT", "450 4.2.1 <bia@example.com> is full", MailerAwayError),
            ("RCPT", "550 5.1.1 <bia@example.com> unknown", LetterRefusedError),
            ("DATA", "451 4.3.0 later", MailerAwayError),
            ("DATA", "554 5.7.1 bia@example.com does not like it", LetterRefusedError),
            ("MAIL", "550 5.7.1 not as no-reply@example.com", MailerAwayError),
            ("RCPT", DROP, MailerAwayError),
            ("DATA", DROP, MailerAwayError),
        ],
    )
    async def test_what_a_server_says_is_judged_and_names_nobody(
        self, stage: Stage, answer: str, error: type[Exception]
    ) -> None:
        async with MailServer() as server:
            server.answer(stage, answer)
            with pytest.raises(error) as refused:
                await mailer_to(server).send(uuid4(), LETTER)
            assert "@" not in str(refused.value)
            assert refused.value.__suppress_context__
            await mailer_to(server).send(uuid4(), LETTER)

    async def test_what_no_mail_can_be_made_of_is_refused(self) -> None:
        async with MailServer() as server:
            for address in ("a\nRCPT TO:<b@example.com>@example.com", ""):
                with pytest.raises(LetterRefusedError):
                    await mailer_to(server).send(uuid4(), letter_to(address))
        assert server.received == []

    async def test_a_server_that_is_away_is_no_refusal(self) -> None:
        async with MailServer() as server:
            pass
        with pytest.raises(MailerAwayError):
            await mailer_to(server).send(uuid4(), LETTER)

    async def test_logs_in_and_speaks_under_tls_alone(self, trusted: ssl.SSLContext) -> None:
        password = "correct horse"
        async with MailServer("localhost", tls=trusted, user="crm", password=password) as server:
            await mailer_to(server, "starttls", "crm", password).send(uuid4(), LETTER)
            with pytest.raises(MailerAwayError, match="535"):
                await mailer_to(server, "starttls", "crm", "wrong").send(uuid4(), LETTER)
            assert [(r.encrypted, r.user) for r in server.received] == [(True, "crm")]
        async with MailServer("localhost") as bare:
            with pytest.raises(MailerAwayError):
                await mailer_to(bare, "starttls").send(uuid4(), LETTER)
            assert bare.received == []

"""What we write to people, in their language: pure text, so that nothing in it can be run."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import Template

from crm_gateway.mail.languages import Language


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail: to whom, about what, and what it says."""

    to: str
    subject: str
    text: str


_RESET: dict[Language, tuple[str, Template]] = {
    "en": (
        "Choose a new password",
        Template(
            """\
Hello $name,

somebody, hopefully you, has asked for a new password for your account. Choose it here:

$link

The link works once, within $minutes minutes. Every device that is logged in has to log in again.

It was not you? Then there is nothing to do: your password stays as it is.
"""
        ),
    ),
    "pt-BR": (
        "Escolha uma nova senha",
        Template(
            """\
Olá, $name,

alguém, esperamos que você, pediu uma nova senha para a sua conta. Escolha-a aqui:

$link

O link funciona uma única vez, dentro de $minutes minutos. Todos os aparelhos conectados terão de
entrar de novo.

Não foi você? Então não é preciso fazer nada: a sua senha continua a mesma.
"""
        ),
    ),
}
# Who has this address is not known yet: it may be anybody's, given by anybody. So it says nothing
# that whoever gave it has chosen, not even a name: no advertisement travels by it.
_VERIFICATION: dict[Language, tuple[str, Template]] = {
    "en": (
        "Confirm your e-mail",
        Template(
            """\
Hello,

an account has been opened with this e-mail. Confirm that it is yours:

$link

The link works once, within $hours hours.

It was not you? Then there is nothing to do: without you nobody can confirm it.
"""
        ),
    ),
    "pt-BR": (
        "Confirme o seu e-mail",
        Template(
            """\
Olá,

uma conta foi aberta com este e-mail. Confirme que ele é seu:

$link

O link funciona uma única vez, dentro de $hours horas.

Não foi você? Então não é preciso fazer nada: sem você ninguém pode confirmá-lo.
"""
        ),
    ),
}
_INVITATION: dict[Language, tuple[str, Template]] = {
    "en": (
        "You are invited",
        Template(
            """\
Hello $name,

$company has an account for you. Choose a password, and you are in:

$link

The link works once, within $days days.
"""
        ),
    ),
    "pt-BR": (
        "Você foi convidado(a)",
        Template(
            """\
Olá, $name,

$company criou uma conta para você. Escolha uma senha e pronto:

$link

O link funciona uma única vez, dentro de $days dias.
"""
        ),
    ),
}

_FAILING: dict[Language, tuple[str, Template]] = {
    "en": (
        "Your webhooks do not arrive",
        Template(
            """\
Hello $name,

since $since none of the webhooks has arrived that $company sends to

$url

They are tried again, and nothing is lost so far. If none arrives, that endpoint is disabled on
$until at the earliest.
"""
        ),
    ),
    "pt-BR": (
        "Os seus webhooks não estão chegando",
        Template(
            """\
Olá, $name,

desde $since não chegou nenhum dos webhooks que $company envia para

$url

As tentativas continuam e nada se perdeu até agora. Se nenhum chegar, o endpoint será desativado em
$until, no mínimo.
"""
        ),
    ),
}
_DISABLED: dict[Language, tuple[str, Template]] = {
    "en": (
        "A webhook endpoint was disabled",
        Template(
            """\
Hello $name,

$company sends no more webhooks to

$url

for it has taken none in days, or has asked for no more (410). What happens is kept for it for a
week: once the URL works, enable the endpoint, and it gets what it has missed.
"""
        ),
    ),
    "pt-BR": (
        "Um endpoint de webhooks foi desativado",
        Template(
            """\
Olá, $name,

$company não envia mais webhooks para

$url

porque ele não aceitou nenhum há dias ou pediu para não receber mais (410). O que acontecer fica
guardado por uma semana: quando a URL funcionar, ative o endpoint e ele receberá o que perdeu.
"""
        ),
    ),
}
_MOMENT: dict[Language, str] = {"en": "%Y-%m-%d %H:%M UTC", "pt-BR": "%d/%m/%Y %H:%M UTC"}


@dataclass(frozen=True, slots=True)
class Letters:
    """Writes letters whose links lead to the product's pages at `public_url`.

    A token stands behind the `#` of its link: browsers keep that part to themselves, so it is in no
    log of a server and in no Referer (RFC 9110, 10.1.3).
    """

    public_url: str

    def password_reset(
        self, language: Language, *, to: str, name: str, token: str, good_for: timedelta
    ) -> Letter:
        """The way to a new password."""
        subject, text = _RESET[language]
        minutes = max(1, int(good_for.total_seconds() // 60))
        link = self._link("reset-password", token)
        return Letter(to, subject, text.substitute(name=_line(name), link=link, minutes=minutes))

    def email_verification(
        self, language: Language, *, to: str, token: str, good_for: timedelta
    ) -> Letter:
        """The way to prove that an e-mail is its owner's."""
        subject, text = _VERIFICATION[language]
        hours = max(1, int(good_for.total_seconds() // 3600))
        return Letter(
            to, subject, text.substitute(link=self._link("verify-email", token), hours=hours)
        )

    def invitation(
        self,
        language: Language,
        *,
        to: str,
        name: str,
        company: str,
        token: str,
        good_for: timedelta,
    ) -> Letter:
        """The way to a first password."""
        subject, text = _INVITATION[language]
        link = self._link("accept-invitation", token)
        names = {"name": _line(name), "company": _line(company)}
        return Letter(to, subject, text.substitute(names, link=link, days=good_for.days))

    def endpoint_failing(
        self,
        language: Language,
        *,
        to: str,
        name: str,
        company: str,
        url: str,
        since: datetime,
        until: datetime,
    ) -> Letter:
        """Webhooks have not arrived since, and may not be sent any more from then on."""
        subject, text = _FAILING[language]
        moments = {
            word: moment.astimezone(UTC).strftime(_MOMENT[language])
            for word, moment in (("since", since), ("until", until))
        }
        names = {"name": _line(name), "company": _line(company)}
        return Letter(to, subject, text.substitute(names, url=url, **moments))

    def endpoint_disabled(
        self, language: Language, *, to: str, name: str, company: str, url: str
    ) -> Letter:
        """Webhooks are not sent there any more."""
        subject, text = _DISABLED[language]
        names = {"name": _line(name), "company": _line(company)}
        return Letter(to, subject, text.substitute(names, url=url))

    def _link(self, page: str, token: str) -> str:
        return f"{self.public_url}/{page}#token={token}"


def _line(name: str) -> str:
    """A name as part of a sentence: who chose it must not begin a paragraph of their own."""
    return " ".join(name.split())

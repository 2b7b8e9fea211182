"""Access tokens of key pairs: who can judge them, and who cannot make them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from crm_gateway.access.jwks import PATH
from crm_gateway.access.signing_keys import PrivateKey, PublicKey, public
from crm_gateway.access.tokens import AccessTokens
from crm_gateway.app import create_service
from crm_gateway.settings import GatewaySettings
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import SecretStr, ValidationError
from service_kit.errors import UnauthenticatedError
from service_kit.settings import ConfigurationError

MakeSettings = Callable[..., GatewaySettings]
USER, TENANT = uuid4(), str(uuid4())
KEYS: dict[str, PrivateKey] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}


def pem_of(key: Any) -> str:
    private: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode()


def public_pem_of(key: Any) -> str:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def issue(tokens: AccessTokens) -> str:
    return tokens.issue(user_id=USER, tenant_id=TENANT, role="admin")


def encoded(part: bytes | dict[str, Any]) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def make_tokens(make_settings: MakeSettings) -> Callable[..., AccessTokens]:
    return lambda **keys: AccessTokens(make_settings(**keys))


class TestPairs:
    @pytest.mark.parametrize("algorithm", KEYS)
    def test_others_judge_our_tokens_by_what_we_tell(
        self, make_tokens: Callable[..., AccessTokens], algorithm: str
    ) -> None:
        tokens = make_tokens(jwt_private_key=pem_of(KEYS[algorithm]))
        token = issue(tokens)
        assert tokens.read(token).user_id == USER
        header = jwt.get_unverified_header(token)
        assert header["alg"] == algorithm
        told = jwt.PyJWKSet.from_dict(tokens.jwks)[header["kid"]]
        claims = jwt.decode(
            token, told, algorithms=[algorithm], audience="ventros-crm-api", issuer="ventros-crm"
        )
        assert claims["sub"] == str(USER)
        (jwk,) = tokens.jwks["keys"]
        assert not jwk.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}
        assert (jwk["use"], jwk["alg"], jwk["kid"]) == ("sig", algorithm, header["kid"])

    @pytest.mark.parametrize(
        ("key", "thumbprint"),
        [
            (  # RFC 8037, A.3
                ed25519.Ed25519PublicKey.from_public_bytes(
                    base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
                ),
                "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            ),
        ],
    )
    def test_are_named_by_their_thumbprint(self, key: PublicKey, thumbprint: str) -> None:
        assert public(key).id == thumbprint

    def test_are_turned_in_steps(self, make_tokens: Callable[..., AccessTokens]) -> None:
        one, two = KEYS["EdDSA"], KEYS["ES256"]
        steps = [
            make_tokens(),
            make_tokens(jwt_public_keys=public_pem_of(one)),
            make_tokens(jwt_private_key=pem_of(one)),
            make_tokens(jwt_private_key=pem_of(one), jwt_secret=SecretStr("")),
            make_tokens(
                jwt_private_key=pem_of(one),
                jwt_public_keys=public_pem_of(two),
                jwt_secret=SecretStr(""),
            ),
            make_tokens(
                jwt_private_key=pem_of(two),
                jwt_public_keys=public_pem_of(one),
                jwt_secret=SecretStr(""),
            ),
            make_tokens(jwt_private_key=pem_of(two), jwt_secret=SecretStr("")),
        ]
        for number, before in enumerate(steps[:-1]):
            after = steps[number + 1]
            # A secret that is gone is believed no more: that step waits for its last token.
            if number != 2:
                assert after.read(issue(before)).user_id == USER
            assert before.read(issue(after)).user_id == USER
        assert [len(each.jwks["keys"]) for each in steps] == [0, 1, 1, 1, 2, 2, 1]
        with pytest.raises(UnauthenticatedError):
            steps[3].read(issue(steps[0]))
        with pytest.raises(UnauthenticatedError):
            steps[-1].read(issue(steps[3]))

    def test_need_no_secret_beside_them(self, make_settings: MakeSettings) -> None:
        alone = make_settings(jwt_private_key=pem_of(KEYS["EdDSA"]), jwt_secret=SecretStr(""))
        create_service(alone)
        assert not any("JWT" in problem for problem in alone.problems())
        with pytest.raises(ConfigurationError, match="JWT_SECRET is missing"):
            create_service(make_settings(jwt_secret=SecretStr("")))

    @pytest.mark.parametrize(
        ("name", "pem"),
        [
            ("jwt_private_key", pem_of(rsa.generate_private_key(65537, 1024))),  # noqa: S505
            ("jwt_private_key", pem_of(ec.generate_private_key(ec.SECP384R1()))),
            ("jwt_private_key", pem_of(ed448.Ed448PrivateKey.generate())),
            ("jwt_private_key", public_pem_of(KEYS["EdDSA"])),
            ("jwt_private_key", "hunter2"),
            ("jwt_public_keys", pem_of(KEYS["EdDSA"])),
            ("jwt_public_keys", public_pem_of(KEYS["EdDSA"]) + "hunter2"),
            ("jwt_public_keys", public_pem_of(ed448.Ed448PrivateKey.generate())),
            ("jwt_public_keys", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
        ],
    )
    def test_that_are_unfit_are_refused_at_the_start_and_not_shown(
        self, make_settings: MakeSettings, name: str, pem: str
    ) -> None:
        with pytest.raises(ValidationError) as refused:
            make_settings(**{name: pem})
        (told,) = refused.value.errors()
        assert told["loc"] == (name,) and "it must be" in told["msg"]
        assert not any(line in told["msg"] for line in pem.splitlines())


class TestForgeries:
    """What RFC 8725 warns of, each with claims that would pass."""

    @pytest.fixture
    def tokens(self, make_tokens: Callable[..., AccessTokens]) -> AccessTokens:
        """Believes a pair that signs, another one, and a secret."""
        return make_tokens(
            jwt_private_key=pem_of(KEYS["EdDSA"]),
            jwt_public_keys=public_pem_of(KEYS["RS256"]) + public_pem_of(KEYS["ES256"]),
        )

    @pytest.fixture
    def claims(self, tokens: AccessTokens) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(issue(tokens), options={"verify_signature": False})
        return found

    @staticmethod
    def refuses(tokens: AccessTokens, token: str) -> None:
        with pytest.raises(UnauthenticatedError) as refused:
            tokens.read(token)
        assert refused.value.problem.code == "invalid_token"

    def test_each_would_pass_if_it_were_in_order(
        self, tokens: AccessTokens, claims: dict[str, Any]
    ) -> None:
        for algorithm, key in KEYS.items():
            kid = public(key.public_key()).id
            assert tokens.read(jwt.encode(claims, key, algorithm, {"kid": kid})).user_id == USER

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None])
    def test_without_a_signature(
        self, tokens: AccessTokens, claims: dict[str, Any], algorithm: str | None
    ) -> None:
        for jwk in (*tokens.jwks["keys"], {"kid": None}):
            header = {"typ": "JWT", "alg": algorithm, "kid": jwk["kid"]}
            self.refuses(tokens, f"{encoded(header)}.{encoded(claims)}.")

    @pytest.mark.parametrize("algorithm", KEYS)
    def test_by_a_public_key_as_if_it_were_a_secret(
        self, tokens: AccessTokens, claims: dict[str, Any], algorithm: str
    ) -> None:
        key = KEYS[algorithm].public_key()
        known = public(key)
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for secret in (
            public_pem_of(KEYS[algorithm]).encode(),
            public_pem_of(KEYS[algorithm]).rstrip().encode(),
            der,
            json.dumps(known.jwk).encode(),
        ):
            signed = f"{encoded({'alg': 'HS256', 'kid': known.id})}.{encoded(claims)}"
            signature = hmac.digest(secret, signed.encode(), hashlib.sha256)
            self.refuses(tokens, f"{signed}.{encoded(signature)}")

    @pytest.mark.parametrize("kid", ["unknown", "", None, 7, ["x"], "../../dev/null", "' OR 1=1"])
    def test_by_a_key_nobody_knows(
        self, make_tokens: Callable[..., AccessTokens], claims: dict[str, Any], kid: object
    ) -> None:
        """Where one key is believed as well, though a good signature would do there."""
        header = {"alg": "EdDSA", "kid": kid}
        signed = f"{encoded(header)}.{encoded(claims)}"
        key = KEYS["EdDSA"]
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        token = f"{signed}.{encoded(key.sign(signed.encode()))}"
        alone = {"jwt_private_key": pem_of(key), "jwt_secret": SecretStr("")}
        for others in ("", public_pem_of(KEYS["RS256"])):
            self.refuses(make_tokens(**alone, jwt_public_keys=others), token)

    def test_by_a_key_of_another_kind_than_the_one_named(
        self, tokens: AccessTokens, claims: dict[str, Any], make_settings: MakeSettings
    ) -> None:
        secret = make_settings().jwt_secret.get_secret_value()
        secrets_kid = jwt.get_unverified_header(issue(AccessTokens(make_settings())))["kid"]
        named = {name: public(key.public_key()).id for name, key in KEYS.items()}
        named["HS256"] = secrets_kid
        keys: dict[str, Any] = {**KEYS, "HS256": secret}
        for algorithm, key in keys.items():
            for other, kid in named.items():
                token = jwt.encode(claims, key, algorithm, {"kid": kid})
                if other == algorithm:
                    assert tokens.read(token).user_id == USER
                else:
                    self.refuses(tokens, token)

    def test_by_a_key_the_token_brings_along(
        self, tokens: AccessTokens, claims: dict[str, Any]
    ) -> None:
        own = ed25519.Ed25519PrivateKey.generate()
        jwk = public(own.public_key()).jwk
        kid = public(KEYS["EdDSA"].public_key()).id
        for brought in (
            {"jwk": jwk},
            {"jku": "https://evil.example/jwks.json"},
            {"x5u": "https://evil.example/cert.pem"},
            {"x5c": ["AAAA"]},
        ):
            for name in (kid, jwk and jwk["kid"]):
                self.refuses(tokens, jwt.encode(claims, own, "EdDSA", {"kid": name, **brought}))
        # Whatever it brings, a good signature by a known key is what counts.
        token = jwt.encode(claims, KEYS["EdDSA"], "EdDSA", {"kid": kid, "jku": "https://x.example"})
        assert tokens.read(token).user_id == USER

    def test_that_asks_for_what_we_do_not_know(
        self, tokens: AccessTokens, claims: dict[str, Any]
    ) -> None:
        kid = public(KEYS["EdDSA"].public_key()).id
        header = {"kid": kid, "crit": ["exp"], "exp": 1}
        self.refuses(tokens, jwt.encode(claims, KEYS["EdDSA"], "EdDSA", header))

    @pytest.mark.parametrize(
        "header",
        [
            b'{"alg":' + b"[" * 5000 + b"]" * 5000 + b"}",
            b'{"alg":"EdDSA","n":' + b"9" * 5000 + b"}",
            b'{"alg":"EdDSA","kid":"\xff"}',
            b'["alg"]',
            b"{}",
        ],
        ids=["deep", "long number", "no UTF-8", "no object", "nothing"],
    )
    def test_whose_header_is_absurd(
        self, tokens: AccessTokens, claims: dict[str, Any], header: bytes
    ) -> None:
        self.refuses(tokens, f"{encoded(header)}.{encoded(claims)}.{encoded(b's' * 64)}")


class TestJwks:
    @pytest.mark.parametrize("keys", [{}, {"jwt_private_key": pem_of(KEYS["ES256"])}])
    async def test_are_for_everybody_for_a_while(
        self, make_settings: MakeSettings, keys: dict[str, str]
    ) -> None:
        settings = make_settings(**keys)
        transport = httpx.ASGITransport(create_service(settings).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.get(PATH)
            changed = await client.post(PATH)
        assert answer.status_code == 200 and answer.json() == AccessTokens(settings).jwks
        assert len(answer.json()["keys"]) == len(keys)
        # Neither the secret nor the private part of a pair.
        private = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
        assert not any(private & jwk.keys() for jwk in answer.json()["keys"])
        assert answer.headers["content-type"] == "application/jwk-set+json"
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert (changed.status_code, changed.json()["code"]) == (405, "method_not_allowed")

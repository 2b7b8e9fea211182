"""Keys of access tokens: a secret we share with nobody (HS256), or a pair whose public half others
may have (EdDSA, ES256, RS256).

Each key has one algorithm and one name, so no token chooses how it is judged (RFC 8725, 3.1).
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_MIN_RSA_BITS = 2048
"""RFC 7518, 3.3."""
_KINDS = f"Ed25519, P-256 or RSA of {_MIN_RSA_BITS} bits or more"
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
_PUBLIC_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----")
# What a thumbprint is made of (RFC 7638, 3.2; RFC 8037, 2), and no more than that is told.
_MEMBERS = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}


@dataclass(frozen=True, slots=True)
class Key:
    """What judges tokens: its name (`kid`), its one algorithm, and, if it is public, its JWK."""

    id: str
    algorithm: str
    judge: str | PublicKey = field(repr=False)
    jwk: dict[str, Any] | None = None


def shared(secret: str) -> Key:
    """The key that a secret is."""
    digest = hashlib.sha256(b"jwt-key-id\0" + secret.encode()).hexdigest()
    return Key(digest[:8], "HS256", secret)


def public(key: PublicKey) -> Key:
    """The public half of a pair; its name is its thumbprint (RFC 7638). ValueError if unfit."""
    match key:
        case ed25519.Ed25519PublicKey():
            algorithm, document = "EdDSA", OKPAlgorithm.to_jwk(key, as_dict=True)
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            algorithm, document = "ES256", ECAlgorithm.to_jwk(key, as_dict=True)
        case rsa.RSAPublicKey() if key.key_size >= _MIN_RSA_BITS:
            algorithm, document = "RS256", RSAAlgorithm.to_jwk(key, as_dict=True)
        case _:
            raise ValueError(f"it must be of {_KINDS}")
    named = {name: document[name] for name in ("kty", *_MEMBERS[document["kty"]])}
    digest = hashlib.sha256(orjson.dumps(named, option=orjson.OPT_SORT_KEYS)).digest()
    key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return Key(key_id, algorithm, key, {**named, "kid": key_id, "use": "sig", "alg": algorithm})


def private_key(pem: str) -> PrivateKey:
    """The private key of a PEM; raises ValueError, without a word of what stands there."""
    try:
        key: Any = load_pem_private_key(pem.encode(), password=None)
    except _UNREADABLE:
        raise ValueError(f"it must be a private key, as PEM: {_KINDS}") from None
    public(key.public_key())
    found: PrivateKey = key
    return found


def public_keys(pems: str) -> Iterator[Key]:
    """The public keys of PEMs, one behind the other; raises ValueError for anything else."""
    if _PUBLIC_PEM.sub("", pems).strip():
        raise ValueError("it must be public keys, each as PEM, and nothing else")
    for pem in _PUBLIC_PEM.findall(pems):
        try:
            key: Any = load_pem_public_key(pem.encode())
        except _UNREADABLE:
            raise ValueError(f"it must be public keys, as PEM: {_KINDS}") from None
        yield public(key)

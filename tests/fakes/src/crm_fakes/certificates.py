"""Certificates of an authority of our own: a right one, and those that are wrong in one way."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Authority:
    """Makes the TLS of servers on `host`; whoever trusts `write`'s file trusts the right ones."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._ca = trustme.CA()

    def write(self, path: Path) -> Path:
        """Write the authority's certificate, as `SSL_CERT_FILE` wants it."""
        self._ca.cert_pem.write_to_path(str(path))
        return path

    def trusting(self) -> ssl.SSLContext:
        """A client's TLS that trusts this authority alone."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def right(self) -> ssl.SSLContext:
        """Nothing is wrong with it."""
        return _server(self._ca.issue_cert(self._host))

    def expired(self) -> ssl.SSLContext:
        """It ended yesterday."""
        ended = datetime.now(UTC) - timedelta(days=1)
        begun = ended - timedelta(days=30)
        return _server(self._ca.issue_cert(self._host, not_before=begun, not_after=ended))

    def of_another_host(self) -> ssl.SSLContext:
        """It names somebody else."""
        return _server(self._ca.issue_cert("other.example"))

    def unknown(self) -> ssl.SSLContext:
        """It is of an authority nobody trusts."""
        return _server(trustme.CA().issue_cert(self._host))


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context

"""An authority of the test's own, and certificates that it signs."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import trustme

from pypackager.config.schema import Tls

HOSTS = ("localhost", "127.0.0.1")


class Authority:
    """Signs certificates.

    Args:
        folder: where its files are put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.path = folder / "authority.pem"
        """What clients are told to trust."""
        self._ca.cert_pem.write_to_path(self.path)

    def issue(self, name: str, *hosts: str, end: datetime | None = None) -> Tls:
        """Writes `name.pem` and `name.key`, over those that are there."""
        made = self._ca.issue_cert(*(hosts or HOSTS), not_after=end)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return Tls(certificate=str(certificate), key=str(key))

    def another(self, name: str) -> Authority:
        """A further authority, in a folder below."""
        folder = self._folder / name
        folder.mkdir()
        return Authority(folder)

    def shown(self, context: ssl.SSLContext, name: str) -> ssl.SSLContext:
        """A client's context that shows a certificate of this authority."""
        pair = self.issue(name, f"{name}.example")
        context.load_cert_chain(pair.certificate, pair.key)
        return context

    def trusted(self, *protocols: str) -> ssl.SSLContext:
        """A client's context that believes this authority alone, and offers these protocols."""
        context = ssl.create_default_context(cafile=str(self.path))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


OVER = datetime(2020, 1, 1, tzinfo=UTC)
"""Before the test."""

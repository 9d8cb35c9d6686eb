"""The certificates of the daemon's listeners: read when it starts and at every SIGHUP, exchanged while connections go on.

In: the [[tls]] tables, the authorities of encoders. Out: what the native listeners take (`native`, for encoders `ingest`), and what
Python's take (`context`). Never: a listener.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Gauge

from pypackager._core import Certificate, Certificates, CoreError, IngestTls
from pypackager.config.schema import Tls
from pypackager.model.errors import PackagerError

SOON_S = 14 * 86_400
"""What ends within this time should have been renewed: Let's Encrypt does it 30 days before the end."""


class Pair:
    """A certificate with its key, in both forms.

    Args:
        table: where it is.

    Raises:
        PackagerError: TLS_UNUSABLE.
    """

    def __init__(self, table: Tls) -> None:
        self.table = table
        try:
            self.native = Certificate(table.certificate, table.key)
            self.context = _context()
            self.context.load_cert_chain(table.certificate, table.key, lambda: "")
        except (CoreError, OSError) as error:
            detail = error.detail if isinstance(error, CoreError) else f"{table.certificate}, {table.key}: {error}"
            raise PackagerError("TLS_UNUSABLE", detail, fault="operator") from error


class Identity:
    """What the daemon shows of itself over TLS.

    Args:
        expiry: gauge of when each certificate ends, by its file.
        log: a structured logger.
        utc_s: the time of day in seconds since 1970.
    """

    def __init__(self, expiry: Gauge, log: Any, utc_s: Callable[[], float]) -> None:
        self.native = Certificates([])
        self.ingest = IngestTls(self.native)
        """For encoders."""
        self.context = _context()
        """For listeners that Python serves."""
        self.context.sni_callback = self._choose
        self._pairs: list[Pair] = []
        self._expiry = expiry
        self._log = log
        self._utc_s = utc_s

    def for_encoders(self, client_ca: str | None) -> IngestTls:
        """How encoders are to speak TLS when they show a certificate of these authorities, or none.

        Raises:
            PackagerError: TLS_UNUSABLE.
        """
        try:
            return IngestTls(self.native, client_ca)
        except CoreError as error:
            raise PackagerError("TLS_UNUSABLE", error.detail, fault="operator") from error

    def take(self, pairs: Sequence[Pair], ingest: IngestTls) -> None:
        """These from the next handshake on. When there are no pairs, those in use are kept: what speaks TLS goes on until its end."""
        self.ingest = ingest
        if not pairs:
            return
        self._pairs = list(pairs)
        self.native.replace([pair.native for pair in pairs])
        self._expiry.clear()
        for pair in pairs:
            self._tell(pair)

    def demand(self, who: str) -> None:
        """Refuses to serve without a certificate.

        Raises:
            PackagerError: TLS_UNCONFIGURED.
        """
        if not self._pairs:
            detail = (
                f"{who} is to speak TLS and there is no certificate: add a [[tls]] table to the configuration file, then load it (SIGHUP)"
            )
            raise PackagerError("TLS_UNCONFIGURED", detail, status=409, fault="operator")

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, host: str | None, _: ssl.SSLContext) -> int | None:
        index = self.native.choose(host)
        if index is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._pairs[index].context
        return None

    def _tell(self, pair: Pair) -> None:
        certificate, left_s = pair.native, pair.native.end - self._utc_s()
        self._expiry.labels(pair.table.certificate).set(certificate.end)
        end = datetime.fromtimestamp(certificate.end, UTC).isoformat()
        told = {"file": pair.table.certificate, "names": certificate.names, "ends": end}
        if left_s <= 0:
            self._log.error("certificate is over", code="CERTIFICATE_EXPIRED", detail="clients refuse it: renew it, then SIGHUP", **told)
        elif left_s < SOON_S:
            self._log.warning("certificate is over soon", code="CERTIFICATE_EXPIRES", detail="renew it, then SIGHUP", **told)
        else:
            self._log.info("certificate", **told)


def _context() -> ssl.SSLContext:
    """Of a server: TLS 1.2 and above, as Python has it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context

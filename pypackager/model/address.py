"""Where to listen: addresses as an operator writes them."""

from __future__ import annotations

import msgspec

from pypackager.model.errors import PackagerError


class Address(msgspec.Struct, frozen=True):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``"0.0.0.0:1935"`` or ``"[::]:1935"``; port 0 lets the kernel choose.

    Raises:
        PackagerError: CONFIG_INVALID.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise PackagerError("CONFIG_INVALID", f"{text!r} is not an address; write 'host:port', IPv6 in brackets", fault="operator")
    return Address(host, int(port))

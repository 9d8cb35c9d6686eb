"""What was used, by the hour: seconds in Running, bytes in and out.

In: nothing. Out: amounts, and for whom they are. Never: who counts, or who is told.
"""

from __future__ import annotations

from typing import Literal

import msgspec

HOUR_NS = 3_600 * 1_000_000_000

Kind = Literal["channel", "locator", "endpoint"]


class Amount(msgspec.Struct, frozen=True):
    """What was used."""

    running_ns: int = 0
    """In which a channel was Running."""
    bytes_in: int = 0
    """Of media that encoders sent to a channel, repeated ones and those of every publisher of a track among them."""
    bytes_out: int = 0
    """Of the bodies of answers."""

    def __add__(self, other: Amount) -> Amount:
        """Both."""
        return Amount(self.running_ns + other.running_ns, self.bytes_in + other.bytes_in, self.bytes_out + other.bytes_out)


class Used(msgspec.Struct, frozen=True):
    """What one used in an hour."""

    kind: Kind
    name: str
    """Of the channel or streaming endpoint; the locator's path."""
    hour: int
    """Since 1970, UTC."""
    amount: Amount

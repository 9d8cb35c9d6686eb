"""Reads bits of a header: fixed widths and exponential Golomb codes (ISO 14496-10 9.1)."""

from __future__ import annotations

_MOST_ZEROS = 32


class Bits:
    """A cursor; reading past the end gives an EOFError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.left = 8 * len(data)

    def take(self, width: int) -> int:
        """The next bits as a number.

        Raises:
            EOFError: there are not so many.
        """
        if width > self.left:
            raise EOFError("the bits end early")
        self.left -= width
        # Only the bytes that hold them: as one number, a long unit would be copied for every bit.
        end = len(self._data) - self.left // 8
        value = int.from_bytes(self._data[end - (self.left % 8 + width + 7) // 8 : end], "big")
        return value >> self.left % 8 & ((1 << width) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.take(1) == 1

    def golomb(self) -> int:
        """An unsigned exponential Golomb code.

        Raises:
            EOFError: the bits end early.
            ValueError: it is none: no code has more than 32 leading zeros.
        """
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise ValueError("a code of more than 32 leading zeros")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """A signed exponential Golomb code (ISO 14496-10 9.1.1)."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def unescape(data: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (ISO 14496-10 7.4.1)."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")

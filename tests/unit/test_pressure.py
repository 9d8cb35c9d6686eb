"""Back-pressure engages above a bound, releases below another, and misses no connection."""

from __future__ import annotations

from pypackager.runtime.pressure import HIGH_BYTES, LOW_BYTES, Pressure


class Pump:
    """Remembers which connections are held."""

    def __init__(self) -> None:
        self.held: set[int] = set()

    def hold(self, conn: int, held: bool) -> None:
        (self.held.add if held else self.held.discard)(conn)


class Channel:
    """Remembers alerts."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.unwritten_bytes = 0

    def alert(self, code: str, detail: str) -> None:
        self.codes.append(code)

    def clear(self, code: str) -> None:
        self.codes.append(f"{code} is over")


def test_it_holds_between_two_bounds() -> None:
    pump, channel = Pump(), Channel()
    pressure = Pressure(pump)
    pressure.check(HIGH_BYTES, [1, 2], [channel])
    assert pump.held == set()
    pressure.check(HIGH_BYTES + 1, [1, 2], [channel])
    assert pump.held == {1, 2}
    pressure.check(LOW_BYTES + 1, [1, 2, 3], [channel])
    assert pump.held == {1, 2, 3}, "a connection that came later waits too"
    pressure.check(LOW_BYTES - 1, [2, 3], [channel])
    assert pump.held <= {1}, "1 is gone, the others are read again"
    assert channel.codes == ["DISK_SLOW", "DISK_SLOW is over"]


def test_what_channels_keep_from_the_writer_waits_for_the_disk_too() -> None:
    pump, one, other = Pump(), Channel(), Channel()
    pressure = Pressure(pump)
    one.unwritten_bytes = other.unwritten_bytes = HIGH_BYTES // 2
    pressure.check(1, [1], [one, other])
    assert pump.held == {1}
    one.unwritten_bytes = 0
    pressure.check(1, [1], [one, other])
    assert pump.held == {1}
    other.unwritten_bytes = 0
    pressure.check(1, [1], [one, other])
    assert pump.held == set()

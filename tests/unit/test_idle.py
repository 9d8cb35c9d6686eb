"""A channel that runs for nothing is told of, and one that does not is not."""

from __future__ import annotations

from pypackager.runtime.idle import Idle

MINUTE = 60 * 10**9
DATA, PROGRAM = "RUNNING_WITHOUT_DATA", "RUNNING_WITHOUT_PROGRAM"


class Told:
    """A channel that is looked at every minute."""

    def __init__(self) -> None:
        self.minute = 0
        self.codes: list[tuple[int, str]] = []
        self.cleared: list[str] = []
        self.idle = Idle(lambda code, _: self.codes.append((self.minute, code)), self.cleared.append, 10 * MINUTE, 0)

    def pass_to(self, minute: int, *, running: bool = True, data: bool = False, recorded: bool = False) -> None:
        """Time passes."""
        newest_ns = None
        while self.minute < minute:
            self.minute += 1
            newest_ns = self.minute * MINUTE if data else newest_ns
            self.idle.look(self.minute * MINUTE, running=running, newest_ns=newest_ns, recorded=recorded)


def test_a_channel_without_data_and_program_is_told_of_every_ten_minutes() -> None:
    told = Told()
    told.pass_to(25)
    assert told.codes == [(10, DATA), (10, PROGRAM), (20, DATA), (20, PROGRAM)]


def test_each_is_watched_by_itself() -> None:
    told = Told()
    told.pass_to(15, data=True)
    told.pass_to(40, recorded=True)
    assert told.codes == [(10, PROGRAM), (25, DATA), (35, DATA)]


def test_a_channel_that_is_used_or_stopped_is_not_told_of() -> None:
    told = Told()
    told.pass_to(60, data=True, recorded=True)
    told.pass_to(120, running=False)
    told.pass_to(129)
    assert told.codes == []
    told.pass_to(130)
    assert told.codes == [(130, DATA), (130, PROGRAM)]

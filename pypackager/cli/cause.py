"""What ended a command, out of the groups that nurseries wrap faults in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from pypackager.model.errors import PackagerError

Cause = TypeVar("Cause", bound=BaseException)


def sole_cause(group: BaseExceptionGroup[BaseException], kind: type[Cause]) -> Cause | None:
    """The one fault of a kind that a group is made of; None when there is more to tell."""
    if len(group.exceptions) != 1:
        return None
    (cause,) = group.exceptions
    if isinstance(cause, BaseExceptionGroup):
        return sole_cause(cast("BaseExceptionGroup[BaseException]", cause), kind)
    return cause if isinstance(cause, kind) else None


def run_to_end(main: Callable[[], Awaitable[None]]) -> None:
    """Runs a daemon until it returns.

    Raises:
        PackagerError: the one fault that ended it.
        BaseExceptionGroup: there is more to tell.
    """
    # Here, since the command line imports this module before it can take Ctrl-C.
    import trio

    try:
        trio.run(main)
    except BaseExceptionGroup as group:
        cause = sole_cause(group, PackagerError)
        if cause is not None:
            raise cause from None
        raise

"""What ended a command, out of the groups that nurseries wrap faults in."""

from __future__ import annotations

from typing import TypeVar, cast

Cause = TypeVar("Cause", bound=BaseException)


def sole_cause(group: BaseExceptionGroup[BaseException], kind: type[Cause]) -> Cause | None:
    """The one fault of a kind that a group is made of; None when there is more to tell."""
    if len(group.exceptions) != 1:
        return None
    (cause,) = group.exceptions
    if isinstance(cause, BaseExceptionGroup):
        return sole_cause(cast("BaseExceptionGroup[BaseException]", cause), kind)
    return cause if isinstance(cause, kind) else None

"""Rules: what is demanded, by which clause, and how bad a breach is.

In: declarations, each beside the code that checks it. Out: the registry of all, of which the reference page is made.
Never: a verdict.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]
"""error: a player may fail, or the standard says MUST. warning: SHOULD, or a risk. note: worth knowing, nobody's fault."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Rule(msgspec.Struct, frozen=True):
    """One demand."""

    id: str
    """Stable: `FORMAT-WHAT` in capitals; scripts filter by it."""
    severity: Severity
    clause: str
    """Standard and clause, such as `RFC 8216bis 4.4.3.1`."""
    demand: str
    """What must be, in one line."""
    example: str
    """A breach, in one line."""
    verified: bool
    """The text of the clause was read; otherwise it is cited from general knowledge."""


_RULES: dict[str, Rule] = {}


def rule(name: str, severity: Severity, clause: str, demand: str, *, example: str, verified: bool = False) -> Rule:
    """Declares a rule.

    Raises:
        ValueError: the id is taken.
    """
    if name in _RULES:
        raise ValueError(f"two rules are called {name}")
    _RULES[name] = Rule(name, severity, clause, demand, example, verified)
    return _RULES[name]


def every_rule() -> list[Rule]:
    """All rules by id; loads every module of the judge first."""
    package = importlib.import_module("pypackager.check")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return [_RULES[name] for name in sorted(_RULES)]

"""What the operator reads when the daemon ends by a fault."""

from __future__ import annotations

import pytest

from pypackager.cli.cause import sole_cause
from pypackager.model.errors import PackagerError

FAULT = PackagerError("LISTEN_FAILED", "port 80 is taken", fault="operator")
BUG = ValueError("ours")


def test_fault_is_taken_out_of_its_nurseries() -> None:
    assert sole_cause(BaseExceptionGroup("daemon", [BaseExceptionGroup("listeners", [FAULT])]), PackagerError) is FAULT


@pytest.mark.parametrize(
    "group",
    [
        BaseExceptionGroup("a bug", [BUG]),
        BaseExceptionGroup("a fault and a bug", [FAULT, BUG]),
        BaseExceptionGroup("a fault, and a bug deeper", [BaseExceptionGroup("channel", [FAULT, BUG])]),
        BaseExceptionGroup("two faults", [FAULT, PackagerError("DISK_LOW", "full")]),
    ],
    ids=lambda group: group.message,
)
def test_nothing_is_hidden_behind_a_fault(group: BaseExceptionGroup[BaseException]) -> None:
    assert sole_cause(group, PackagerError) is None

"""What every test shares: the order of the run, who goes first when the processors are short, and whose coverage counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

_BEHIND_THE_BROWSER = 10
"""Niceness of a worker that drives no browser: pictures must be decoded in real time, all else can wait a moment."""
_MEASURED = {"unit", "component", "property", "golden"}
"""Folders whose tests count for the coverage floor: the code that the end-to-end tests prove runs in other processes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the end-to-end tests first, they wait for media time, and the short tests fill the gaps between them; the browser's before all.

    The worker that gets these has done nothing else then, and is not nice yet: what is nice once stays so.
    """
    items.sort(key=lambda item: (not _in_browser(item), item.get_closest_marker("e2e") is None))
    if config.pluginmanager.has_plugin("_cov"):
        here = Path(__file__).parent
        for item in items:
            if item.path.relative_to(here).parts[0] not in _MEASURED:
                item.add_marker("no_cover")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Beside a browser everything else is nice, with all that it starts."""
    if "PYTEST_XDIST_WORKER" in os.environ and not _in_browser(item):
        os.nice(max(0, _BEHIND_THE_BROWSER - os.nice(0)))


def _in_browser(item: pytest.Item) -> bool:
    group = item.get_closest_marker("xdist_group")
    return group is not None and group.args == ("browser",)

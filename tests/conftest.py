"""What every test shares: the order of the run, and whose coverage counts."""

from __future__ import annotations

from pathlib import Path

import pytest

_MEASURED = {"unit", "component", "property", "golden"}
"""Folders whose tests count for the coverage floor: the code that the end-to-end tests prove runs in other processes."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the end-to-end tests first: they wait for media time, and the short tests fill the gaps between them."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
    if config.pluginmanager.has_plugin("_cov"):
        here = Path(__file__).parent
        for item in items:
            if item.path.relative_to(here).parts[0] not in _MEASURED:
                item.add_marker("no_cover")

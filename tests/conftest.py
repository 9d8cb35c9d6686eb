"""What every test shares: the order of the run."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the end-to-end tests first: they wait for media time, and the short tests fill the gaps between them."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)

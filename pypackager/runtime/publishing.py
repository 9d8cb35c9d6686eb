"""Puts the origin together: catalog, packaging, native core, pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypackager import _core, packaging
from pypackager._core import Proxies
from pypackager.console.pages import Pages
from pypackager.origin import create_app
from pypackager.origin.app import Origin
from pypackager.runtime.catalog import LiveCatalog
from pypackager.runtime.metrics import Metrics


def make_origin(catalog: LiveCatalog, log: Any, metrics: Metrics, utc_ns: Callable[[], int], proxies: Proxies) -> Origin:
    """The origin's application."""
    return create_app(catalog, packaging, _core, Pages(), log=log, recorder=metrics, proxies=proxies, utc_ns=utc_ns)

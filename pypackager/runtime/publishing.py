"""Puts the origin together: catalog, packaging, native core, pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypackager import _core, packaging
from pypackager.config.schema import Access
from pypackager.console.pages import Pages
from pypackager.origin import create_app
from pypackager.origin.app import Origin
from pypackager.origin.proxies import Proxies
from pypackager.runtime.catalog import LiveCatalog
from pypackager.runtime.metrics import Metrics


def make_origin(catalog: LiveCatalog, log: Any, metrics: Metrics, utc_ns: Callable[[], int], access: Access) -> Origin:
    """The origin's application."""
    proxies = Proxies(_core.Networks(access.trusted_proxies).allows, access.proxy_header)
    return create_app(catalog, packaging, _core, Pages(), log=log, recorder=metrics, proxies=proxies, utc_ns=utc_ns)

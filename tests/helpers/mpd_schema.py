"""The published schema of MPDs (ISO/IEC 23009-1), for the tests that ask it.

ISO's terms keep it out of this project: it is where PYPACKAGER_DASH_SCHEMA says, or in the material beside the checkout. Where it was named
and is not there, the tests fail; where nobody named it, they are skipped and say how to name it: no package that can be installed has it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

_GIVEN = os.environ.get("PYPACKAGER_DASH_SCHEMA")
_PATH = Path(_GIVEN or Path(__file__).parents[3] / "shared/data/dash_schema/DASH-MPD.xsd")
needs_schema = pytest.mark.skipif(
    not _GIVEN and not _PATH.exists(),
    reason="the MPD schema may not be part of the project: PYPACKAGER_DASH_SCHEMA=…/DASH-MPD.xsd names it",
)


@cache
def mpd_schema() -> Any:
    """The schema, an `etree.XMLSchema`.

    Raises:
        OSError: it is not there.
    """
    return etree.XMLSchema(etree.parse(str(_PATH), etree.XMLParser(load_dtd=True, no_network=True, resolve_entities=True)))

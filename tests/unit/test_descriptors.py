"""Connections of viewers are bounded by what the process may open, and leave descriptors for what is recorded."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import resource, sys
from pypackager.runtime.descriptors import allow_descriptors, for_viewers
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_descriptors()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), for_viewers(wanted))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "given"),
    [(256, 4096, 100_000, 3072), (4096, 4096, 2000, 2000), (256, 1500, 100_000, 750), (256, 512, 100_000, 256)],
)
def test_viewers_get_what_the_process_may_open_but_for_a_reserve(soft: int, hard: int, wanted: int, given: int) -> None:
    command = [sys.executable, "-c", ASKED, *map(str, (soft, hard, wanted))]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == [str(hard), str(hard), str(given)]

"""The allocator's settings do what they are for: memory of a fragment's size is used again without a fault a page."""

from __future__ import annotations

import subprocess
import sys

CHURN = """
import resource, sys
from pypackager.runtime.allocator import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def churn(times):
    for _ in range(times):
        fragments = [b"\\1" * (1 << 20) for _ in range(4)]
churn(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
churn(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", CHURN, how], check=True, capture_output=True, text=True).stdout)


def test_fragments_come_and_go_without_page_faults() -> None:
    assert faults("keep") < faults("leave") / 10


GIVEN_BACK = """
import ctypes, re
from pypackager.runtime.allocator import give_back, keep_memory
keep_memory()
def anonymous():
    return int(re.search(r"^Anonymous:\\s+(\\d+)", open("/proc/self/smaps_rollup").read(), re.MULTILINE)[1])
before = anonymous()
kept, pins = [b"\\1" * 100_000 for _ in range(200)], []
pins.append(b"\\1" * 1000)
del kept
held = anonymous() - before
give_back()
print(held, anonymous() - before)
"""


def test_what_a_start_took_for_a_moment_is_given_back() -> None:
    held, left = map(int, subprocess.run([sys.executable, "-c", GIVEN_BACK], check=True, capture_output=True, text=True).stdout.split())
    assert held > 15_000, "kilobytes, which keep_memory has the allocator keep"
    assert left < 2_000

"""What the device module changes about the process."""

import platform
import subprocess
import sys

import pytest

from hidden_context.device import keep_freed_memory

COUNT_FAULTS = """
import resource, sys, torch
from hidden_context.device import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()

def work():
    for megabytes in (40, 8, 40, 8):
        torch.ones(megabytes * 2**18)

for _ in range(10):  # until the heap has grown to its size
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has these options")
def test_freed_memory_is_kept_for_the_next_tensors():
    """Without it the blocks of 40 MB come back page by page, each time."""
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", COUNT_FAULTS, how]))
        for how in ("keep", "return")
    }
    assert faults["keep"] < 0.1 * faults["return"]


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    keep_freed_memory()

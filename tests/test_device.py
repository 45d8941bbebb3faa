"""What the device module changes about the process."""

import platform

import pytest
import torch
from forked import forked, page_faults

from hidden_context.device import default_device, keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has these options")
def test_freed_memory_is_kept_for_the_next_tensors():
    """Without it the blocks of 40 MB come back page by page, each time."""
    with forked().Pool(1) as pool:
        returned, kept = pool.apply(page_faults)
    assert kept < 0.1 * returned


def test_a_system_without_these_options_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class WithoutOptions:
        def __getattr__(self, name: str) -> None:
            asked.append(name)
            raise AttributeError(name)

    monkeypatch.setattr("ctypes.CDLL", lambda name: WithoutOptions())
    keep_freed_memory()
    assert asked == ["mallopt"]


def test_the_options_are_those_of_glibc(monkeypatch: pytest.MonkeyPatch):
    set_options: dict[int, int] = {}

    class Options:
        def mallopt(self, option: int, value: int) -> None:
            set_options[option] = value

    monkeypatch.setattr("ctypes.CDLL", lambda name: Options())
    keep_freed_memory()
    assert set_options == {-1: 2**31 - 1, -4: 0}  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h


@pytest.mark.parametrize(
    ("rank", "devices", "current", "expected"),
    [
        (None, 4, 0, 0),
        ("2", 4, 0, 2),
        ("3", 1, 0, 0),  # each process sees its own device alone
        ("1", 4, 3, 3),  # the program chose one
        ("x", 4, 0, 0),
    ],
)
def test_each_process_of_a_launcher_has_a_device(
    rank: str | None, devices: int, current: int, expected: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: devices)
    monkeypatch.setattr("torch.cuda.current_device", lambda: current)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert default_device() == torch.device("cuda", expected)

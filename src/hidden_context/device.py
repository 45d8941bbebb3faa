"""Where computation runs, and in which precision."""

import ctypes
import os

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Options of glibc's mallopt (malloc.h): what stays free at the end, blocks outside the heap."""
LARGEST_INT = 2**31 - 1


def default_device() -> torch.device:
    """CUDA, else MPS, else the CPU.

    Of several CUDA devices the one that was chosen (`torch.cuda.set_device`), or that of the
    launcher's `LOCAL_RANK`.
    """
    if torch.cuda.is_available():
        rank = os.environ.get("LOCAL_RANK", "")
        of_launcher = int(rank) % torch.cuda.device_count() if rank.isdecimal() else 0
        return torch.device("cuda", torch.cuda.current_device() or of_launcher)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is native and pays: on CUDA from Ampere on.

    On CPUs without AMX it is several times slower than float32, and on MPS it depends on the
    system; both compute in float32.
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def for_loss(raw: torch.Tensor) -> torch.Tensor:
    """Raw outputs as the loss wants them: at least float32, and off MPS, which lacks erfcx."""
    raw = raw.cpu() if raw.device.type == "mps" else raw
    return raw if raw.dtype == torch.float64 else raw.float()


def scoring_dtype(device: torch.device, *, bf16: bool) -> torch.dtype:
    """Precision of the weights when scoring: bfloat16 if wanted and there, else float32."""
    return torch.bfloat16 if bf16 and has_bfloat16(device) else torch.float32


def keep_freed_memory() -> None:
    """Let the process keep what it frees for its next large tensors, where glibc manages memory.

    By default glibc returns large blocks to the kernel and gets them back page by page: 0.4 of 2.9
    seconds when scoring 200 texts on two cores (the model of benchmarks/scoring.py). For programs,
    not for libraries: it holds for the whole process.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    set_option(M_TRIM_THRESHOLD, LARGEST_INT)
    set_option(M_MMAP_MAX, 0)

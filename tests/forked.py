"""Processes forked from a server that has the model stack, which is imported once for all tests."""

import multiprocessing
import resource
from multiprocessing.context import ForkServerContext


def forked() -> ForkServerContext:
    """The context of these processes."""
    context = multiprocessing.get_context("forkserver")
    stack = ["hidden_context.llm.train", "hidden_context.report.page"]
    context.set_forkserver_preload([*stack, "frozen"])
    return context


def page_faults() -> tuple[int, int]:
    """Of the same work before and after `keep_freed_memory`, which changes this process."""
    import torch

    from hidden_context.device import keep_freed_memory

    def work() -> None:
        for megabytes in (40, 8, 40, 8):
            torch.ones(megabytes * 2**18)

    def faults() -> int:
        for _ in range(10):  # until the heap has grown to its size
            work()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    returned = faults()
    keep_freed_memory()
    return returned, faults()

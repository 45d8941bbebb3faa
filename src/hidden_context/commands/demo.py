"""`hidden-context demo`: the paper's main job on generated data whose hidden context is known."""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from hidden_context.commands import printing
from hidden_context.commands.command_line import command
from hidden_context.demo.config import Config as Demo

LOG = "log.txt"
"""Progress bars and warnings; the demo itself prints the outcome only."""


@dataclass(frozen=True)
class Config(Demo):
    """Train and compare models on generated data with known hidden context (1 to 3 minutes)."""

    prints_numbers: ClassVar[bool] = True


def run(config: Config) -> None:
    """Generate, train, score, and print what was learned beside the truth."""
    printing.say("Ten small reward models, trained on generated data: 1 to 3 minutes.")
    from hidden_context.demo import demo
    from hidden_context.demo.generated_data import DATA_NAME
    from hidden_context.demo.judges_section import judges_section
    from hidden_context.report.page import write_page
    from hidden_context.report.read_results import read_results

    started = time.monotonic()
    terminal = sys.stdout

    def say(done: str) -> None:
        with contextlib.redirect_stdout(terminal):
            printing.say(f"{time.monotonic() - started:5.1f} s  {done}")

    def tell(found: str) -> None:
        with contextlib.redirect_stdout(terminal):
            printing.tell(lambda: f"\n{found}\n")

    demo.make_room(config)
    with _one_thread(), _messages_to(config.out_dir / LOG):
        learned = demo.run(config, say, tell)
    printing.show(lambda: learned, lambda: learned)
    page = config.out_dir / "report.html"
    with _messages_to(config.out_dir / LOG):
        models = next(read_results([config.data_dir]))
        sections = (judges_section(learned.judges), *models.sections)
        chapter = replace(
            models,
            title="Ten reward models beside the truth",
            command="hidden-context demo",
            sections=sections,
            notes=(*models.notes, "Those of shared_context are in the section “Who judged?”."),
        )
        write_page(chapter, page, title="Demo: two judges whose objectives conflict")
    print(f"\n{time.monotonic() - started:.0f} s; files and log are in {config.out_dir}")
    print(f"look at it: {page}")
    printing.say_next("audit {}", config.data_dir / DATA_NAME / "both")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: for models this small more do not pay.

    Where other programs use the cores, threads that wait for one another are many times slower
    (measured: 150 s instead of 5 s for one model).
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _messages_to(log: Path) -> Iterator[None]:
    """Append what transformers and the report print, progress bars among it, to a file."""
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


main = command("demo", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

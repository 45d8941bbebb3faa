"""Write one HTML page, and figures, from saved results."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_again
from hidden_context.errors import UserError


@dataclass(frozen=True)
class Config:
    """One self-contained HTML page from saved results, and its figures as files."""

    paths: tuple[Path, ...] = field(metadata={"positional": True})
    """Results of audit, evaluate, score, summarize --json and synthetic, or folders with them."""
    out: Path = field(default=Path("report.html"), metadata=writes("an HTML page"))
    """The page."""
    title: str = "Hidden context in preference data"
    """Its heading."""
    num_examples: int = 5
    """Comparisons of each kind that are shown with their texts; 0 for none."""
    figures: Path | None = field(default=None, metadata=writes("a folder"))
    """Folder that receives each figure as PNG and PDF too."""
    style: Literal["screen", "paper"] = "screen"
    """Look of these files; paper: one column wide (3.25 in), 8 pt, thin lines, no titles."""


def run(config: Config) -> None:
    """Read, write the page, say so."""
    from hidden_context.figures.style import STYLES
    from hidden_context.report.page import panels_of, write_page
    from hidden_context.report.panel_figures import write_figures
    from hidden_context.report.read_results import read_results

    _check(config)
    results = []
    for result in read_results(config.paths):
        say(f"read {result.source}", beside=True)
        results.append(result)
    write_page(results, config.out, title=config.title, num_examples=config.num_examples)
    if config.figures is not None:
        written = write_figures(panels_of(results), config.figures, STYLES[config.style])
        print(f"wrote {len(written)} figures to {config.figures}")
    print(f"wrote {config.out}")
    _say_next(config)


def _say_next(config: Config) -> None:
    """Figures for a paper, until they are there."""
    further = ["--style", "paper"] if config.style != "paper" else []
    further += ["--figures", "figures"] if config.figures is None else []
    if further:
        say_again(*further)


def _check(config: Config) -> None:
    if config.out.is_dir():
        raise UserError(f"--out {config.out} is a folder; give a file such as report.html.")
    if config.figures is not None and config.figures.exists() and not config.figures.is_dir():
        raise UserError(f"--figures {config.figures} is a file; give a folder.")
    if config.num_examples < 0:
        raise UserError(f"--num_examples is {config.num_examples}; give 0 or more.")


main = command("report", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

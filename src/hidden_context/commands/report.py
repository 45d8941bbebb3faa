"""Write one HTML page, and figures, from saved results."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.report.measured import Panel, Result
    from hidden_context.report.result_files import ResultFiles


@dataclass(frozen=True)
class Config:
    """One self-contained HTML page from saved results, and its figures as files."""

    paths: tuple[Path, ...] = field(metadata={"positional": True})
    """Results of audit, evaluate, score, summarize --json and synthetic, or folders with them."""
    out: Path = Path("report.html")
    """The page."""
    title: str = "Hidden context in preference data"
    """Its heading."""
    num_examples: int = 5
    """Comparisons of each kind that are shown with their texts; 0 for none."""
    figures: Path | None = None
    """Folder that receives each figure as PNG and PDF too."""
    style: Literal["screen", "paper"] = "screen"
    """Look of these files; paper: one column wide (3.25 in), 8 pt, thin lines, no titles."""


def run(config: Config) -> None:
    """Find, read, draw, write."""
    from hidden_context.figures.style import STYLES
    from hidden_context.report.page import write_page
    from hidden_context.report.panel_figures import write_figures
    from hidden_context.report.result_files import find_results
    from hidden_context.report.sections import sections_of

    _check(config)
    results = read_results(find_results(config.paths))
    write_page(results, config.out, title=config.title, num_examples=config.num_examples, say=_say)
    if config.figures is not None:
        panels = [
            panel for each in results for section in sections_of(each) for panel in section.panels
        ]
        written = write_figures(panels, config.figures, STYLES[config.style])
        print(f"wrote {len(written)} figures to {config.figures}")
    print(f"wrote {config.out}")


def read_results(found: "ResultFiles") -> "list[Result]":
    """Read everything that was found; audits first."""
    from hidden_context.report.read_audit import read_audit
    from hidden_context.report.read_scores import (
        read_comparison_file,
        read_data_dir,
        read_response_file,
    )
    from hidden_context.report.read_summary import read_summary
    from hidden_context.report.read_synthetic import read_synthetic

    return [
        *map(read_audit, found.audits),
        *(read_data_dir(folder, _say) for folder in found.data_dirs),
        *(read_comparison_file(file, _say) for file in found.comparisons),
        *map(read_response_file, found.responses),
        *map(read_summary, found.summaries),
        *(read_synthetic(folder, _synthetic_panels(folder)) for folder in found.synthetic),
    ]


def _synthetic_panels(folder: Path) -> "list[Panel]":
    from hidden_context.report.measured import Panel
    from hidden_context.report.result_files import CURVES
    from hidden_context.synthetic.figures import panels_of, read_curves

    curves = read_curves(folder / CURVES)
    return [
        Panel(title, f"{curves['env']} environment.", lambda axes, draw=draw: draw(axes, curves))
        for title, draw in panels_of(curves)
    ]


def _check(config: Config) -> None:
    if config.out.is_dir():
        raise UserError(f"--out {config.out} is a folder; give a file such as report.html.")
    if config.figures is not None and config.figures.exists() and not config.figures.is_dir():
        raise UserError(f"--figures {config.figures} is a file; give a folder.")
    if config.num_examples < 0:
        raise UserError(f"--num_examples is {config.num_examples}; give 0 or more.")


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context report`."""
    return run_command(Config, run, argv, prog="hidden-context report")


if __name__ == "__main__":
    sys.exit(main())

"""Utilities of a list of items from votes: a table with intervals, rules of choice, figures."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_again, say_next, show, shows_progress
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.items import ItemComparisons, ItemFit


@dataclass(frozen=True)
class Config:
    """Utilities of a list of items from votes, without texts (docs/items.md)."""

    prints_numbers: ClassVar[bool] = True
    votes: Path = field(metadata={"positional": True})
    """Comparisons, counts of votes, rankings, a table of wins (csv, jsonl, parquet), Polis' csv, or
    PrefLib's soc, soi, toc and toi."""
    family: str = "mean_and_variance"
    """How the items' numbers are read; base has no spread."""
    ridge: float | None = None
    """Prior precision of each number; chosen on held-out people, ballots or pairs if not given."""
    out: Path | None = field(default=None, metadata=writes("a folder"))
    """Folder for items.csv, preferences.csv, result.json, the figures and report.html."""
    show: int = 10
    """Items to print, the best first."""
    seed: int = 0
    """Of folds and starts."""


def run(config: Config) -> None:
    """Read, fit, print, write."""
    from hidden_context.distributions import FAMILIES
    from hidden_context.distributions.base import check_choice
    from hidden_context.items import fit_items
    from hidden_context.items.text import as_json, render
    from hidden_context.items.vote_files import read_vote_file
    from hidden_context.report.items_result import answer_about_items

    check_choice("family", config.family, tuple(FAMILIES))
    if config.show < 1:
        raise UserError(f"--show is {config.show}; give 1 or more.")
    if config.out is not None and config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file; give a folder.")
    read = read_vote_file(config.votes)
    say(read, beside=True)  # what is printed is the result alone
    if config.ridge is None:
        _refuse_scattered(read.comparisons, config.votes)
    fit = fit_items(
        read.comparisons,
        config.family,
        ridge="chosen" if config.ridge is None else config.ridge,
        seed=config.seed,
        progress=shows_progress(),
    )
    if config.out is not None:
        _write(fit, config, read.lines())
    answer = answer_about_items(fit)
    show(
        lambda: as_json(fit, read.lines()),
        lambda: render(fit, config.show, answer=f"{answer.sentence} {answer.evidence}".strip()),
    )
    if read.comparisons.annotators is not None:
        say_next("people {}", config.votes, beside=True)
    elif config.out is None:
        say_again("--out", "items_output", beside=True)
    else:
        say_again(
            "--family", "base" if config.family != "base" else "mean_and_variance", beside=True
        )


def _refuse_scattered(votes: "ItemComparisons", path: Path) -> None:
    """Refuse votes by which most items cannot be ranked, before minutes are spent on them."""
    from hidden_context.items.summed_votes import summed_votes

    graph = summed_votes(votes, votes.num_items).graph
    if not graph.is_scattered:
        return
    reads = "people {} --vectors words" if votes.annotators is not None else "audit {}"
    raise UserError(
        f"{path}: these votes cannot rank the {votes.num_items} items: no vote joins the "
        f"{len(graph.parts)} parts that they fall into, most of them two responses that were "
        "compared with each other alone. What is liked in responses can be told from their texts: "
        f"hidden-context {reads.format(path)}. With a --ridge, such as 1, they are fitted as items."
    )


def _write(fit: "ItemFit", config: Config, account: dict[str, str]) -> None:
    """Tables, everything as JSON, the figures, and the page."""
    from hidden_context.figures.style import STYLES, in_style
    from hidden_context.items.text import as_json
    from hidden_context.records import write_json
    from hidden_context.report.items_result import items_to_result
    from hidden_context.report.page import write_page

    assert config.out is not None
    folder = config.out
    folder.mkdir(parents=True, exist_ok=True)
    fit.to_frame().to_csv(folder / "items.csv", index=False)
    fit.prob_frame().to_csv(folder / "preferences.csv", index=False)
    write_json(folder / "result.json", as_json(fit, account))
    with in_style(STYLES["screen"]):
        for name in ("utilities", "preferences"):
            axes = getattr(fit, f"plot_{name}")()
            axes.figure.savefig(folder / f"{name}.png")
    page = write_page(
        [items_to_result(fit, source=account["source"])],
        folder / "report.html",
        title=f"Items of {config.votes.name}",
    )
    print(f"wrote {folder}; look at {page}", file=sys.stderr)


main = command("items", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

"""Which named features of responses people differ in, with false findings bounded."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hidden_context.commands.command_line import command
from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_again, say_next, show, shows_progress
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.axes.axes import Axes

SHOWN = 200
"""Characters of a response."""


@dataclass(frozen=True)
class Config:
    """What divides those who judged, in words (docs/axes.md)."""

    prints_numbers: ClassVar[bool] = True
    data: str = field(metadata={"positional": True})
    """Hub name, folder or file of comparisons that say who judged."""
    group: str | None = field(default=None, metadata={"also": ("by",)})
    """What divides: annotator, group, prompt or a column; if not given, annotator, else group."""
    num_words: int = 100
    """Words and two in a row to test, beside the named features."""
    level: float = 0.02
    """Probability of finding any axis where nothing differs."""
    num_permutations: int = 999
    """How often who judged what is redrawn."""
    show: int = 2
    """Pairs to show of each axis: those on which it moves P(a ≻ b) most, whoever voted on them."""
    split: str = "train"
    """Of a hub name or folder; a slice of it as in train[:1000], train[:1%]."""
    dataset_config: str | None = None
    """Configuration of a data set on the hub, where it has several."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    seed: int = 0
    """Of the permutations."""
    judge: str | None = None
    """Language model that names the axes from the pairs shown, which are sent to it; none asked if
    not given."""
    base_url: str | None = None
    """Address of its endpoint; if not given, OpenAI's, or that in OPENAI_BASE_URL."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds its key; none if it wants none."""
    out: Path | None = field(default=None, metadata=writes("a folder"))
    """Folder that receives axes.json and report.html; none written if not given."""


def run(config: Config) -> None:
    """Load, find, name, write, print."""
    from hidden_context.axes.find import find_axes
    from hidden_context.axes.naming import name_axes
    from hidden_context.comparisons.comparisons import load_comparisons
    from hidden_context.relabelling.judge import Judge
    from hidden_context.report.page import write_page

    if config.show < 0:
        raise UserError(f"--show is {config.show}; give 0 or more.")
    if config.out is not None and config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file; give a folder.")
    say_what_is_fetched(config)
    comparisons = load_comparisons(
        config.data,
        split=config.split,
        dataset_config=config.dataset_config,
        ignore_columns=config.ignore_columns,
    )
    say(comparisons.account, beside=True)  # what is printed is the result alone
    found = find_axes(
        comparisons,
        by=config.group,
        num_words=config.num_words,
        level=config.level,
        num_permutations=config.num_permutations,
        num_exemplars=config.show,
        seed=config.seed,
        progress=shows_progress(),
    )
    if config.judge is not None:
        judge = Judge(model=config.judge, base_url=config.base_url, api_key_env=config.api_key_env)
        found = name_axes(found, judge)
    show(found.to_dict, lambda: _text(found))
    if config.out is None:
        return say_again("--out", "axes_output", beside=True)
    record = found.save(config.out)
    page = write_page([record], config.out / "report.html")
    print(f"\nwrote {record}; look at {page}")
    who = "people" if comparisons.account.num_annotators else "audit"
    return say_next(f"{who} {{}}", config.data, like=config, beside=True)


def _text(found: "Axes") -> str:
    """The sentences, then the pairs."""
    lines = [str(found)]
    for axis in found.axes:
        for pair in axis.exemplars:
            sides = (("more than on average", pair.votes_for), ("less", pair.votes_against))
            votes = ", ".join(
                f"{won:g} of {cast:g} by {found.contexts_name} that like it {more}"
                for more, (won, cast) in sides
                if cast
            )
            lines += [
                f"\n{axis.called or axis.name}, row {pair.row}: {_short(pair.prompt)}",
                f"  {axis.more}: {_short(pair.more)}",
                f"  {axis.less}: {_short(pair.less)}",
                f"  votes for the first: {votes or 'none is decided'}",
            ]
    return "\n".join(lines)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


main = command("axes", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

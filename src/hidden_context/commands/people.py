"""Who differs, by how much, along what: people from their comparisons."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hidden_context.commands.command_line import command
from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_again, say_next, show, shows_progress
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.people.people import People
    from hidden_context.people.source import Source


@dataclass(frozen=True)
class Config:
    """Who differs, by how much, along what? People from comparisons with annotators."""

    prints_numbers: ClassVar[bool] = True
    data: str = field(metadata={"positional": True})
    """Hub name, folder or file of comparisons with annotators; or a folder that --save wrote."""
    vectors: str | None = None
    """words, or a checkpoint whose states are read; if not given, each response is an item."""
    split: str = "train"
    """Of a hub name or folder; a slice of it as in train[:1000], train[:1%]."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    group: str | None = field(default=None, metadata={"also": ("color",)})
    """Column of groups, by which the page colours people, and that clusters are compared with."""
    person: Path | None = None
    """Comparisons of one person, or some: answer for each of them instead."""
    num_directions: int | None = None
    """In how many directions people may differ; if not given, chosen on held-out people."""
    num_folds: int = 5
    """Folds of people for the table by n, of two people each at least; 0 for none."""
    seed: int = 0
    """Of the start, folds and permutations."""
    save: Path | None = field(default=None, metadata=writes("a folder"))
    """Folder that receives the people, for --person, best-of and rewards."""
    out: Path = field(default=Path("people.html"), metadata=writes("an HTML page"))
    """Page to write."""


def run(config: Config) -> None:
    """Load or fit, answer, write the page, print."""
    from hidden_context.people.saved import is_saved, load_people

    _check(config)
    say_what_is_fetched(config)
    if is_saved(config.data):
        if config.person is None:
            raise UserError(f"{config.data} is a folder of people; give --person, or comparisons.")
        return _answer(load_people(config.data), config)
    if config.person is not None:
        return _answer(_fitted(_read(config, 0), config), config)
    return _find(config)


def _check(config: Config) -> None:
    if config.num_folds < 0 or config.num_folds == 1:
        raise UserError(f"--num_folds is {config.num_folds}; give 0 for none, or 2 or more.")
    if config.out.is_dir():
        raise UserError(f"--out {config.out} is a folder; give the name of a page.")


def _read(config: Config, num_folds: int) -> "Source":
    """Comparisons by person; says how long what follows takes."""
    from hidden_context.people.duration import seconds_expected
    from hidden_context.people.source import Source
    from hidden_context.progress import in_words

    comparisons = _comparisons(config)
    say(comparisons.account, beside=True)
    source = Source.read(comparisons, config.vectors)
    ballots = source.ballots
    left = in_words(seconds_expected(source, config.num_directions, num_folds))
    say(
        f"{(ballots.weight > 0).sum()} comparisons by {len(ballots)} people of "
        f"{len(ballots.items)} {'items' if source.vectors is None else 'texts'}: about {left} "
        "from now"
    )
    return source


def _fitted(source: "Source", config: Config) -> "People":
    """The people, saved where it was asked."""
    from hidden_context.people.chosen import fit_people

    people = fit_people(
        source,
        num_directions=config.num_directions,
        seed=config.seed,
        progress=shows_progress(),
    )
    if config.save is not None:
        people.save(config.save)
    return people


def _comparisons(config: Config) -> Any:
    """Rows of a table of items as preference data, and preference data as they are."""
    from hidden_context.comparisons.sources import load_rows
    from hidden_context.items.votes import comparisons_of

    rows = [
        {name: value for name, value in row.items() if name not in config.ignore_columns}
        for row in load_rows(config.data, "both", config.split, None)
    ]
    return comparisons_of(rows, config.data)[0]


def _find(config: Config) -> None:
    from hidden_context.people.findings import find_all, values_of_people
    from hidden_context.people.sentences import render
    from hidden_context.report.page import write_page

    values: dict[str, str] = {}
    notes: list[str] = []
    if config.group is not None:  # before anything is fitted
        values, notes = values_of_people(_comparisons(config), config.group)
    source = _read(config, config.num_folds)
    found = find_all(
        _fitted(source, config),
        source,
        source=config.data,
        num_folds=config.num_folds,
        colors=tuple(values[str(name)] for name in source.ballots.people) if values else None,
        column=config.group or "",
        notes=notes,
        seed=config.seed,
        progress=shows_progress(),
    )
    page = write_page([found], config.out, title=f"People of {Path(config.data).name}")
    show(found.to_dict, lambda: render(found))
    print(f"\nlook at {page}" + (f"; saved {config.save}" if config.save else ""))
    if found.is_of_items_compared_once and config.vectors is None:
        return say_again("--vectors", "words")
    if found.verdict == "yes" and config.save is None:
        return say_again("--save", "saved_people")  # for --person, best-of and rewards
    by_person = replace(config, group=None)  # finer than groups, and never too few
    return say_next("axes {}", config.data, like=by_person)


def _answer(people: "People", config: Config) -> None:
    from hidden_context.comparisons.sources import load_rows
    from hidden_context.items.votes import comparisons_of
    from hidden_context.people.sentences import person_to_dict, render_person

    rows = list(load_rows(str(config.person), "both", "train", None))
    ballots = people.read(comparisons_of(rows, str(config.person))[0])
    person = people.infer_all(ballots)
    counts = (ballots.weight > 0).sum(1)
    found = [person_to_dict(person, at, int(count)) for at, count in enumerate(counts)]
    show(lambda: found, lambda: "\n\n".join(map(render_person, found)))


main = command("people", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

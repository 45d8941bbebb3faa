"""The part of `audit` that holds judges and reward models against people."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hidden_context.commands.command_line import refuse_given
from hidden_context.commands.printing import say, say_next, show, shows_progress
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.comparisons.comparisons import Comparisons


def hold_judges(
    config: Any, load: "Callable[[Any], Mapping[str, Comparisons]]", used: Sequence[str]
) -> None:
    """Hold judges against people, write the page, print.

    Of the configuration of `audit` the settings that are `used` here; others must not be given.
    """
    from hidden_context.judging.audit import audit_judges
    from hidden_context.report.page import write_page

    others = [name for name in vars(config) if name not in used]
    refuse_given(config, others, "is for heads, which are not fitted with --scores or --verdicts")
    scores, verdicts = _named("scores", config.scores), _named("verdicts", config.verdicts)
    for name, files in scores.items():
        if len(files) > 1:
            raise UserError(f"--scores {name} is given {len(files)} times; name each model.")
    sets = load(config)
    if len(sets) > 1:
        raise UserError(f"{len(sets)} data sets; judges are held against one at a time.")
    (comparisons,) = sets.values()
    result = audit_judges(
        comparisons,
        scores={name: file for name, (file,) in scores.items()},
        verdicts=verdicts,
        traits=config.traits,
        features=config.features,
        pair_column=config.pair_column,
        progress=shows_progress(),
    )
    for judge in result.judges:
        left = f"; {judge.num_votes_left_out:g} votes left out" if judge.num_votes_left_out else ""
        say(f"{judge.name}: {judge.account}; {judge.num_pairs} pairs{left}")
    say("")
    show(result.to_dict, lambda: result)
    record = result.save(config.out)
    title = f"{', '.join(judge.name for judge in result.judges)} against people"
    page = write_page([record], config.out / "report.html", title=title)
    print(f"\nwrote {record}; look at {page}")
    who = "people" if comparisons.account.num_annotators else "audit"
    say_next(f"{who} {{}}", *config.data, like=config)


def _named(flag: str, given: tuple[str, ...]) -> dict[str, list[str]]:
    """What follows each name, in order."""
    named: dict[str, list[str]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            what = "FILE" if flag == "scores" else "COLUMN"
            raise UserError(f"--{flag} {each}: expected NAME={what}.")
        named.setdefault(name, []).append(value)
    return named

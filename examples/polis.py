"""Learned against real disagreement: every family on comparisons from the votes of real people.

    python examples/polis.py --data_dir data/polis --out_dir results/polis

Within a person a statement agreed with beats one disagreed with. The persons are dropped, a table
of one distribution for each statement is fitted, and its spread is compared with that of the votes
of other people. Families are fitted again on redrawn votes, of which the truth is known. What came
out is in docs/polis.md. Some 8 minutes on one core for both conversations.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from polis_groups import group_recovery
from polis_measures import (
    ensemble_measures,
    held_out_measures,
    null_measures,
    pair_measures,
    spread_measures,
    tails_measures,
)
from polis_setting import (
    OPTIONS,
    PARTS,
    STOPPING_RULE,
    Cells,
    Config,
    Fitted,
    Setting,
    choose_ridge,
    folds,
    items,
)
from polis_table import plain, render
from polis_votes import FILE_NAME, read_votes, split_people
from polis_worlds import known_worlds

from hidden_context.commands.command_line import run_command
from hidden_context.distributions import FAMILIES, make_family
from hidden_context.errors import UserError
from hidden_context.records import atomic_write, provenance, write_json


def run(config: Config) -> None:
    """Read all conversations, then fit, measure, print and save."""
    for flag, least in (("num_members", 2), ("num_draws", 1), ("num_statements", 3)):
        if getattr(config, flag) < least:
            raise UserError(f"--{flag} is {getattr(config, flag)}; give at least {least}.")
    read = {name: read_votes(config.data_dir / name / FILE_NAME) for name in config.conversation}
    sections, record = [], []
    for name, all_votes in read.items():
        votes = all_votes.most_voted(at_most=config.num_statements, min_votes=config.min_votes)
        rng = np.random.default_rng(config.seed)
        parts = split_people(len(votes.values), PARTS, rng=rng)
        for pairs in config.pairs:
            setting = Setting(config, pairs, votes, *parts)
            tables = measure(setting, lambda text, at=f"{name}, {pairs}": log(f"{at}: {text}"))
            sections.append(render(f"{name}: {pairs}", tables))
            record.append({"conversation": name, "pairs": pairs, **tables})
    text = "\n\n".join(sections)
    print(text)
    with atomic_write(config.out_dir / "polis.md") as file:
        file.write((text + "\n").encode())
    write_json(
        config.out_dir / "polis.json",
        {
            **provenance(),
            "config": asdict(config),
            "stopping_rule": STOPPING_RULE,
            "settings": plain(record),
        },
    )


def measure(setting: Setting, say: Callable[[str], None]) -> dict[str, Any]:
    """All tables of one setting."""
    train = setting.comparisons(setting.training)
    test = setting.comparisons(setting.held_out)
    if (setting.votes.of_people(setting.held_out).counts.sum(1) == 0).any():
        raise UserError("a statement has no votes of held-out people; raise --min_votes.")
    families = {name: make_family(name, OPTIONS.get(name)) for name in FAMILIES}
    parts = folds(setting)
    ridges: dict[str, float] = {}
    fits: Fitted = {}
    for name, family in families.items():
        ridges[name] = choose_ridge(setting, family, parts)
        fits[name] = setting.fit(family, items(train), ridges[name], seed=0)
        say(f"{name}: ridge {ridges[name]:g}")
    cells: Cells = {
        "ridge": dict(ridges),
        **held_out_measures(setting, fits, test),
        **spread_measures(setting, fits),
        **pair_measures(setting, fits, test),
        **tails_measures(setting, train),
    }
    say("measured; now the label null")
    cells |= null_measures(setting, fits, ridges, train)
    say("ensembles of resampled people")
    cells |= ensemble_measures(setting, fits, ridges)
    say("redrawn votes")
    return {
        "people": len(setting.votes.values),
        "statements": setting.num_items,
        "comparisons": {"training": len(train.first), "held out": len(test.first)},
        "families": cells,
        "groups": group_recovery(
            setting, families["shared_context"], ridges["shared_context"], train
        ),
        "worlds": known_worlds(setting, families, ridges),
    }


def log(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run_command(Config, run))

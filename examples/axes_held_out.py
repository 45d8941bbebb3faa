"""How well do the axes say what differs? Held-out votes, with the axes and with all features.

    python examples/axes_held_out.py --data results/llmfao.jsonl
    python examples/axes_held_out.py --data data/relabeled_hh_rlhf/both/test.jsonl.gz --by objective

Pairs of responses are dealt into folds. On the rest a model is fitted in which nobody differs, one
in which contexts differ along the axes that are found there, and one in which they differ in all
named features; all predict the held-out votes. What came out is in docs/axes.md.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import log_expit

from hidden_context.axes.design import Design, read_design
from hidden_context.axes.effects import Effects, fit_effects
from hidden_context.axes.selection import Decisions, select_axes
from hidden_context.axes.spread_test import Shuffle
from hidden_context.commands.command_line import run_command
from hidden_context.comparisons.comparisons import load_comparisons


@dataclass(frozen=True)
class Config:
    """Hold out votes, and predict them with and without what divides."""

    data: Path
    """File of comparisons that say who judged."""
    by: str | None = None
    """What a context is; annotators, else groups, if not given."""
    num_folds: int = 5
    """Parts of the pairs."""
    num_permutations: int = 199
    """By which axes are found."""
    seed: int = 0
    """Of folds and permutations."""


def run(config: Config) -> None:
    """Read, deal, fit, predict, print."""
    design = read_design(load_comparisons(config.data), by=config.by, num_words=0, features={})
    pairs = {texts: number for number, texts in enumerate(design.places)}
    rng = np.random.default_rng(config.seed)
    folds = rng.permutation(np.arange(len(pairs)) % config.num_folds)
    fold = folds[[pairs[pair.texts] for pair in design.pairs]]
    gain, names = np.zeros((len(fold), 2)), []
    for held_out in range(config.num_folds):
        gain[fold == held_out], found = _gains(design, fold == held_out, config)
        names.append(", ".join(found) or "none")
    print(f"{len(gain)} held-out decisions, {design.decisions.features.shape[1]} features")
    for name, column in zip(("axes", "all features"), gain.T, strict=True):
        mean = np.average(column, weights=design.decisions.weight)
        error = 1.96 * column.std() / len(column) ** 0.5
        print(f"{name}: {mean:+.4f} nats a vote more than if nobody differed (± {error:.4f})")
    print("axes of each fold:", "; ".join(names))


def _gains(design: Design, is_held: np.ndarray, config: Config) -> tuple[np.ndarray, list[str]]:
    """Nats of each held-out vote over the model in which nobody differs, shape `(held, 2)`."""
    of_all = design.decisions
    known, context = np.unique(of_all.context[~is_held], return_inverse=True)
    rest = Decisions(
        of_all.features[~is_held], of_all.wins[~is_held], of_all.weight[~is_held], context
    )
    units, unit = np.unique(design.unit[~is_held], return_inverse=True)
    of_units = np.searchsorted(known, design.unit_context[units])
    shuffle = Shuffle(unit, of_units, design.stratum[units], config.num_permutations, config.seed)
    selection = select_axes(rest, shuffle, 0.02)
    nobody, everything = _fit(rest, rest.features[:, :0]), _fit(rest, rest.features)
    size = selection.average_size
    candidates = np.column_stack([of_all.features, of_all.features @ nobody.common / size])[is_held]
    held = Decisions(
        of_all.features[is_held],
        of_all.wins[is_held],
        of_all.weight[is_held],
        of_all.context[is_held],
    )
    chosen = candidates[:, list(selection.chosen)]
    baseline = _nats(held, nobody, candidates[:, :0], known)
    gains = [
        _nats(held, selection.effects, chosen, known) - baseline,
        _nats(held, everything, held.features, known) - baseline,
    ]
    names = [*(feature.name for feature in design.features), "average"]
    return np.column_stack(gains), [names[number] for number in selection.chosen]


def _fit(decisions: Decisions, own: np.ndarray) -> Effects:
    return fit_effects(decisions.features, decisions.wins, decisions.weight, decisions.context, own)


def _nats(held: Decisions, effects: Effects, own: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Log-likelihood of each held-out vote; a context that is not known is the average one."""
    place = np.searchsorted(known, held.context).clip(max=len(known) - 1)
    is_known = known[place] == held.context
    log_odds = held.features @ effects.common + is_known * (own * effects.own[place]).sum(1)
    return held.wins * log_expit(log_odds) + (1 - held.wins) * log_expit(-log_odds)


if __name__ == "__main__":
    sys.exit(run_command(Config, run))

"""Can the objective of the relabelled HH-RLHF labels be found where it is hidden?

    hidden-context download relabeled-hh-rlhf --to data
    python examples/hidden_objective.py --data_dir data/relabeled_hh_rlhf

Each pair has one label, by one of two objectives, and nothing links the labels of one objective.
What is left is the shape of the link: two logistic models of who wins, mixed (by EM), on the named
features. The axis is the difference of their effects. How well the posterior of the components
tells the objective is held against permutations of the objective, against directions drawn at
random and one feature alone, and the gain of the mixture against labels simulated from a single
logistic model. What came out is in docs/axes.md.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import expit, log_expit
from sklearn.metrics import roc_auc_score

from hidden_context.axes.design import read_design
from hidden_context.axes.effects import fit_effects, slope_and_curve
from hidden_context.axes.selection import Decisions
from hidden_context.commands.command_line import run_command
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.errors import UserError

RIDGE = 1.0
ROUNDS = 200


@dataclass(frozen=True)
class Config:
    """Hide the objective, mix two logistic models, and see whether they tell it."""

    data_dir: Path = Path("data/relabeled_hh_rlhf")
    """Folder with both/test.jsonl.gz."""
    num_words: int = 0
    """Words to use beside the named features."""
    starts: int = 10
    """Random starts of each mixture; the best is taken."""
    num_simulated: int = 39
    """Sets of labels simulated from a single logistic model."""
    num_permutations: int = 999
    """Of the objective."""
    seed: int = 0
    """Of starts, labels and permutations."""


@dataclass(frozen=True)
class Mixture:
    """Two logistic models of who wins."""

    log_likelihood: float
    """Nats, over all comparisons."""
    effects: np.ndarray
    """Shape `(2, features)`."""
    posterior: np.ndarray
    """P(first component | comparison), shape `(n,)`."""


def run(config: Config) -> None:
    """Read, mix, compare, print."""
    file = config.data_dir / "both" / "test.jsonl.gz"
    if not file.is_file():
        raise UserError(f"{file} is not there; see the first lines of this example.")
    design = read_design(
        load_comparisons(file), by="objective", num_words=config.num_words, features={}
    )
    decisions, is_first = design.decisions, design.decisions.context == 0
    rng = np.random.default_rng(config.seed)
    mixture, gain = _gain(decisions, config.starts, rng)
    single = _single(decisions)
    simulated = []
    for _ in range(config.num_simulated):
        wins = (rng.random(len(single)) < expit(single)).astype(float)
        simulated.append(_gain(replace(decisions, wins=wins), config.starts, rng)[1])
    p = (1 + sum(other >= gain for other in simulated)) / (1 + len(simulated))
    print(f"{len(single)} comparisons, {decisions.features.shape[1]} features")
    print(
        f"two components gain {gain:.1f} nats over one; where there is one, "
        f"{np.mean(simulated):.1f} on average, {max(simulated):.1f} at most (p = {p:.2f})"
    )
    axis = mixture.effects[0] - mixture.effects[1]
    largest = np.argsort(-np.abs(axis))[:5]
    names = [design.features[at].name for at in largest]
    print(
        "the axis:", ", ".join(f"{n} {axis[at]:+.2f}" for n, at in zip(names, largest, strict=True))
    )
    won = _won(decisions)
    at_random = rng.normal(size=(config.num_permutations, decisions.features.shape[1]))
    of_random = [_told(is_first, won * (decisions.features @ one)) for one in at_random]
    print(f"directions drawn at random: AUC {np.mean(of_random):.3f} on average")
    print(f"  and below {np.quantile(of_random, 0.95):.3f} in 95 % of them")
    for name, score in (
        ("posterior of the components", mixture.posterior),
        ("length of the chosen less the rejected", won * decisions.features[:, 0]),
    ):
        found = _told(is_first, score)
        chance = [_told(rng.permutation(is_first), score) for _ in range(config.num_permutations)]
        print(
            f"{name}: AUC {found:.3f}; 99 % of permutations below {np.quantile(chance, 0.99):.3f}"
        )


def _told(is_first: np.ndarray, score: np.ndarray) -> float:
    """AUC of the objective, whichever component is called which."""
    auc = float(roc_auc_score(is_first, score))
    return max(auc, 1 - auc)


def _won(decisions: Decisions) -> np.ndarray:
    return np.where(decisions.wins > 0.5, 1.0, -1.0)


def _single(decisions: Decisions) -> np.ndarray:
    """Log odds by one model."""
    none = np.empty((len(decisions.wins), 0))
    fitted = fit_effects(
        decisions.features, decisions.wins, decisions.weight, decisions.context * 0, none
    )
    return fitted.log_odds


def _gain(decisions: Decisions, starts: int, rng: np.random.Generator) -> tuple[Mixture, float]:
    """The best mixture, and its nats over the single model."""
    best = max((_mixed(decisions, rng) for _ in range(starts)), key=lambda one: one.log_likelihood)
    single = log_expit(_won(decisions) * _single(decisions)).sum()
    return best, best.log_likelihood - float(single)


def _mixed(decisions: Decisions, rng: np.random.Generator) -> Mixture:
    """Expectation–maximisation from a random start, one Newton step a round."""
    x, won = decisions.features, _won(decisions)
    effects, share = rng.normal(size=(2, x.shape[1])) / x.shape[1] ** 0.5, 0.5
    total = posterior = np.zeros(len(x))
    for _ in range(ROUNDS):
        log = log_expit(won * (effects @ x.T)) + np.log([[share], [1 - share]])
        total = np.logaddexp(*log)
        posterior = np.exp(log[0] - total)
        share = float(posterior.mean())
        for number, weight in enumerate((posterior, 1 - posterior)):
            slope, curve = slope_and_curve(x @ effects[number], decisions.wins, weight)
            hessian = (x * curve[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
            step = np.linalg.solve(hessian, x.T @ slope - RIDGE * effects[number])
            effects[number] += step / max(1, np.abs(step).max())
    return Mixture(float(total.sum()), effects, posterior)


if __name__ == "__main__":
    sys.exit(run_command(Config, run))

"""Prints what docs/known-truth.md shows of simulated items: the fits that the slow tests check.

PYTHONPATH=tests python tests/known_truth/figures.py [normal groups starts none outcomes]

Without arguments everything, in about ten minutes of one core.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
import test_latent_groups as groups
import test_no_hidden_context as none
import test_normal_items as normal
import test_ties_and_strengths as outcomes
from simulated_items import draw_comparisons, excess_loss, num_identified, unlimited_comparisons

from hidden_context.distributions import FAMILIES, Normal, Point, SharedContext
from hidden_context.items import fit_items
from hidden_context.items.objective import AnyFamily
from hidden_context.items.optimizer import fit_from, starts
from hidden_context.items.summed_votes import summed_votes
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import OutcomeModel
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.explained_variance import explained_variance, rank_explained_variance
from hidden_context.measures.likelihood_ratio import likelihood_ratio

NUM_STARTS = 24
NUM_SETS = 8


def of_normal_items() -> Iterator[str]:
    """r² of 200 normal items, and what iterations and a ridge do to predictions."""
    size, paper = normal.FULL, Normal("paper")
    for truth in normal.TRUTHS:
        items = normal.items(truth, size)
        _, error = normal.sampling_error(truth, size, lambda items: items.explained_variance)
        fits = [normal.fitted(truth, size, family) for family in (Normal(), paper)]
        r2 = [explained_variance(fit.utility) for fit in fits]
        limit = explained_variance(normal.limit(truth, size, paper).utility)
        rank = rank_explained_variance(
            normal.CATEGORICAL, normal.fitted(truth, size, normal.CATEGORICAL).raw
        )
        yield (
            f"r² {truth:.3f}, standard error {error:.3f}: probit {r2[0]:.3f}, paper {r2[1]:.3f}, "
            f"its limit {limit:.3f}; rank r² {normal.rank_r2(items):.3f}, categorical {rank:.3f}"
        )
        for name, family in (
            ("probit", Normal()),
            ("paper", paper),
            ("categorical", normal.CATEGORICAL),
        ):
            fit = normal.limit(truth, size, family)
            own = rank_explained_variance(family, fit.raw) - normal.rank_r2(items)
            off = explained_variance(fit.utility) - truth
            yield f"  in the limit {name} is off by {off:+.5f}, its rank r² by {own:+.5f}"
        votes = draw_comparisons(items, size.num_comparisons, seed=1)
        for number, ridge in ((5, 0.0), (10, 0.0), (20, 0.0), (60, 0.0), (150, 0.0), (150, 1.0)):
            fit = fit_items(votes, Normal(), max_iterations=number, ridge=ridge, check_spread=False)
            yield (
                f"  {number} iterations, ridge {ridge:g}: r² {explained_variance(fit.utility):.4f},"
                f" loss {excess_loss(items, fit.family, fit.raw):.4f} nats above the truth, "
                f"least deviation {fit.utility.std.min():.2g}, converged {fit.converged}"
            )


def of_groups() -> Iterator[str]:
    """Two groups of judges, at both numbers of comparisons."""
    for size in (groups.FULL, groups.QUARTER):
        n, d = size.num_comparisons, size.num_parameters
        shared = groups.fitted(SharedContext(), size)
        excess = excess_loss(size.groups, SharedContext(), shared.raw)
        correlation = np.corrcoef(groups.contexts_of(shared), size.groups.utilities)[:2, 2:]
        yield f"{n} comparisons: shared_context {excess:.5f}, d/(2n) {d / (2 * n):.5f}"
        yield f"  correlations {np.sort(correlation.ravel())[2:].round(3).tolist()}"
        for family in (*groups.INDEPENDENT, Point()):
            fit = groups.fitted(family, size)
            extra = max(0, num_identified(family, size.num_items) - d) / (2 * n)
            yield (
                f"  {family.name}: {excess_loss(size.groups, family, fit.raw):.4f} above the truth,"
                f" behind {_four(size.worse(fit, than=shared))}, parameters {extra:.4f}"
            )
    votes = unlimited_comparisons(groups.FULL.groups)
    for family in (SharedContext(), *groups.INDEPENDENT, Point()):
        starts = 12 if isinstance(family, SharedContext) else 1
        fit = fit_items(votes, family, max_iterations=800, num_starts=starts, check_spread=False)
        loss = excess_loss(groups.FULL.groups, fit.family, fit.raw)
        yield f"limit of {family.name}: {loss:.2g}, converged {fit.converged}"


def of_starts() -> Iterator[str]:
    """Where random starts of shared contexts end; the first twelve are those of `of_groups`."""
    size, family = groups.FULL, SharedContext()
    votes, truth = summed_votes(size.drawn(seed=1), size.num_items), size.groups.utilities
    objective = AnyFamily(LearnedLikelihood(family, OutcomeModel()), votes, 0.0)
    begin = starts(family, votes, num_starts=NUM_STARTS, seed=0, ridge=0.0)
    for number, raw in enumerate(begin):
        found = fit_from(objective, family, raw, max_iterations=groups.MAX_ITERATIONS)
        contexts = np.asarray(family.decode(found.raw).contexts).T
        both = np.corrcoef(contexts, truth)[:2, 2:]
        best = max((both.diagonal(), np.fliplr(both).diagonal()), key=lambda each: each.sum())
        loss = excess_loss(size.groups, family, found.raw)
        yield f"start {number}: loss {loss:.5f}, correlations {best.round(3).tolist()}"


def of_no_hidden_context() -> Iterator[str]:
    """Thirty Bradley–Terry items."""
    size = none.FULL
    held_out, exact = size.drawn(2), unlimited_comparisons(size.items)
    low, high = np.sort([held_out.first, held_out.second], axis=0)
    base = none.fitted("base", size).log_likelihood(held_out)
    for name in FAMILIES:
        family = none.family_of(name)
        own = none.fitted(name, size).log_likelihood(held_out)
        worse = likelihood_ratio(base, own, low * size.num_items + high)
        extra = none.further_parameters(family, size) / (2 * size.num_comparisons)
        fit = fit_items(exact, family, max_iterations=150, check_spread=False)
        limit = excess_loss(size.items, fit.family, fit.raw)
        cost, error = _cost(name)
        yield (
            f"{name}: behind base {_four(worse)}, parameters {extra:.5f}, limit {limit:.1g}; over "
            f"{NUM_SETS} sets of comparisons {cost:.5f}, standard error {error:.5f}"
        )


def _cost(name: str) -> tuple[float, float]:
    """Mean expected loss beyond that of `base` over sets of comparisons, and its standard error."""
    size, losses = none.FULL, []
    for seed in range(1, NUM_SETS + 1):
        votes = size.drawn(seed)
        own, base = (
            fit_items(votes, none.family_of(each), max_iterations=150, check_spread=False)
            for each in (name, "base")
        )
        losses.append(
            excess_loss(size.items, own.family, own.raw)
            - excess_loss(size.items, base.family, base.raw)
        )
    return float(np.mean(losses)), float(np.std(losses, ddof=1) / NUM_SETS**0.5)


def of_ties_and_strengths() -> Iterator[str]:
    """How far thresholds and ν are from the truth, in standard errors."""
    for name in outcomes.FAMILIES:
        for what, (truth, start) in outcomes.STARTS.items():
            votes = outcomes.graded(name, truth)
            scale = 1.0
            if name != "base":
                scale = float(np.sqrt(outcomes.MEAN.var() + (outcomes.STD**2).mean()))
            statistic = outcomes.itself if name == "base" else outcomes.over_spread
            fit = outcomes.fitted(name, start, votes)
            found, error = outcomes.estimate(fit, votes, statistic)
            yield _off(f"{name}, {what}", found, error, np.array(truth.thresholds) / scale)
        votes = outcomes.with_davidsons_ties(name, 0.8)
        fit = outcomes.fitted(name, OutcomeModel("davidson", davidson=2.0), votes)
        found, error = outcomes.estimate(fit, votes, outcomes.itself)
        yield _off(f"{name}, Davidson", found, error, np.array([0.8]))
        for votes, right, wrong in (
            (outcomes.graded(name, OutcomeModel("threshold", (0.4,))), "threshold", "davidson"),
            (outcomes.with_davidsons_ties(name, 0.8), "davidson", "threshold"),
        ):
            both = {
                "threshold": OutcomeModel("threshold", (0.5,)),
                "davidson": OutcomeModel("davidson"),
            }
            loss = {
                ties: outcomes.fitted(name, model, votes).log_likelihood(votes).sum()
                for ties, model in both.items()
            }
            yield f"{name}: of ties by {right} it is ahead by {loss[right] - loss[wrong]:.1f} nats"


def _off(what: str, found: np.ndarray, error: np.ndarray, truth: np.ndarray) -> str:
    shown = "; ".join(
        f"{each:.4f} for {true:.4f}, {(each - true) / one:+.2f} standard errors of {one / true:.2%}"
        for each, true, one in zip(found, truth, error, strict=True)
    )
    return f"{what}: {shown}"


def _four(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


SECTIONS: dict[str, Callable[[], Iterator[str]]] = {
    "normal": of_normal_items,
    "groups": of_groups,
    "starts": of_starts,
    "none": of_no_hidden_context,
    "outcomes": of_ties_and_strengths,
}

if __name__ == "__main__":
    for section in sys.argv[1:] or SECTIONS:
        for line in SECTIONS[section]():
            print(line, flush=True)

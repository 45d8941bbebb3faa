"""Intervals of figures: of one part Wilson's, of several as wide as simulation says."""

import numpy as np
import pytest
from reward_benchmarks.made_rows import ROWS

from hidden_context.measures.rates import wilson
from hidden_context.reward_benchmarks.benchmark import BENCHMARKS
from hidden_context.reward_benchmarks.points import Figure, Points
from hidden_context.reward_benchmarks.rewardbench2 import MARGIN, TIES, TIES_WEIGHTS


def points_of(parts: list[np.ndarray]) -> Points:
    names = np.repeat([f"part {k}" for k in range(len(parts))], list(map(len, parts)))
    value = np.concatenate(parts).astype(float)
    return Points(value, names, names, np.arange(len(value)))


def test_the_interval_of_one_subset_is_wilsons_over_its_prompts() -> None:
    values = np.array([1, 0, 1, 1, 0, 1, 1, 1.0])
    prompts = np.array([0, 0, 1, 2, 3, 3, 4, 5])
    figure = points_of([values]).estimate(Figure({"part 0": 5.0}), prompts)
    expected = wilson(values, prompts)
    assert (figure.value, figure.low, figure.high) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=1e-15
    )
    assert figure.how == "Wilson, 6 prompts"


def test_a_subset_that_is_all_right_has_its_share_of_the_width() -> None:
    points = points_of([np.ones(4), np.ones(4000)])
    alone = points.estimate(Figure({"part 0": 1.0}), np.arange(4004))
    average = points.estimate(Figure({"part 0": 1.0, "part 1": 3.0}), np.arange(4004))
    assert alone.low is not None
    assert average.value == average.high == 1.0
    assert average.low == pytest.approx(1 - 0.25 * (1 - alone.low), abs=0.002)


@pytest.mark.parametrize("rates", [(0.9, 0.6, 0.75), (0.98, 0.98, 0.5)])
def test_intervals_of_a_weighted_mean_cover_it_nineteen_times_in_twenty(
    rates: tuple[float, ...],
) -> None:
    rng = np.random.default_rng(0)
    weights = (1.0, 2.0, 0.5)
    figure = Figure({f"part {k}": weight for k, weight in enumerate(weights)})
    truth = np.average(rates, weights=weights)
    covered = []
    for _ in range(200):
        parts = [rng.random(n) < rate for n, rate in zip((40, 60, 25), rates, strict=True)]
        estimate = points_of(parts).estimate(figure, np.arange(125))
        assert estimate.low is not None
        assert estimate.high is not None
        covered.append(float(estimate.low <= truth <= estimate.high))
    assert 0.92 <= np.mean(covered) <= 0.995


def test_the_interval_of_ties_is_as_wide_as_resampling_its_prompts_says() -> None:
    """Its terms are of the same prompts, so their errors go together."""
    rng = np.random.default_rng(0)
    rows = [
        {"subset": TIES, "id": f"{kind}:{n}", "prompt": f"{kind} {n}", "rejected": ["a", "b"]}
        | {"chosen": ["c"] * (1 if kind == "ref" else 3)}
        for n in range(60)
        for kind in ("ref", "tied")
    ]
    rules = BENCHMARKS["rewardbench2"]
    items = rules.read(rows, "rows")
    rewards = []
    for item in items:
        right = rng.normal(2.5, 0.5, len(item.chosen))
        rewards.append(np.concatenate([right, rng.normal(0, 1, len(item.rejected))]))
    ids = np.arange(len(items))
    points = rules.points(items, rewards)
    estimate = points.estimate(rules.figures(points.strata)[TIES], ids)
    factors = np.array([(TIES_WEIGHTS | {MARGIN: 0.01})[name] for name in points.stratum])
    of_prompt = np.bincount(points.item, factors * points.value)[::2]
    assert estimate.value == pytest.approx(of_prompt.mean())
    resampled = of_prompt[rng.integers(0, 60, (2000, 60))].mean(1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.high - estimate.low == pytest.approx(high - low, rel=0.15)
    assert estimate.low == pytest.approx(low, abs=0.03)


@pytest.mark.parametrize("name", ROWS)
def test_every_figure_lies_in_its_interval_whatever_the_rewards(name: str) -> None:
    rng = np.random.default_rng(1)
    rules = BENCHMARKS[name]
    items = rules.read(ROWS[name](), "rows")
    for levels in (1, 2, 5):
        sizes = [len(item.chosen) + len(item.rejected) for item in items]
        points = rules.points(
            items, [rng.integers(0, levels, size).astype(float) for size in sizes]
        )
        for figure in rules.figures(points.strata).values():
            estimate = points.estimate(figure, np.arange(len(items)))
            assert estimate.low is not None
            assert estimate.high is not None
            slack = 0.01 if MARGIN in figure.added else 1e-12
            assert -slack <= estimate.low <= estimate.value <= estimate.high <= 1 + slack
            assert estimate.low < estimate.high

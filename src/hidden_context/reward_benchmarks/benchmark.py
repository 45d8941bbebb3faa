"""`benchmark`: a model, or its scores, measured by the rules of a public benchmark."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.distributions.base import check_choice
from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling
from hidden_context.measures.estimate import Estimate
from hidden_context.reward_benchmarks.confidence import confidence
from hidden_context.reward_benchmarks.judgebench import JudgeBench
from hidden_context.reward_benchmarks.result import BenchmarkResult
from hidden_context.reward_benchmarks.rewardbench import RewardBench
from hidden_context.reward_benchmarks.rewardbench2 import RewardBench2
from hidden_context.reward_benchmarks.rm_bench import RMBench
from hidden_context.reward_benchmarks.rules import RESPONSES, Item, Rules
from hidden_context.risk import MEAN, Risk, check_supported, parse_risk
from hidden_context.scores.scores import Scores

if TYPE_CHECKING:
    from hidden_context.llm.reward_model import RewardModel

BENCHMARKS: Mapping[str, Rules] = {
    rules.name: rules for rules in (RewardBench(), RewardBench2(), RMBench(), JudgeBench())
}
"""By name."""


def benchmark(
    model: "RewardModel | Scores",
    name: str,
    rows: Collection[Mapping[str, Any]] | None = None,
    *,
    risks: Sequence[Risk | str] = (),
    source: str = "rows",
    resampling: Resampling = RESAMPLING,
    **scoring: Any,
) -> BenchmarkResult:
    """Measure a model on a benchmark.

    Args:
        model: The model, or its scores of the benchmark's rows, as `score_benchmark` gives and
            `load_scores` reads them.
        name: One of `BENCHMARKS`.
        rows: The benchmark's rows, as it publishes them; those of the scores, if not given.
        risks: Rewards beside the mean by which all figures are taken too.
        source: Where the rows are from, for messages.
        resampling: For the intervals of calibration.
        scoring: Of a model, further arguments of `score_benchmark`.

    Raises:
        UserError: There is no such benchmark, a row has another shape or subset, or the scores are
            of other rows.
    """
    rules = rules_of(name)
    if isinstance(model, Scores):
        if scoring:
            raise UserError(f"scores are not scored again; leave out {', '.join(scoring)}.")
        scores, source = model, source if rows is not None else model.source or "scores"
        items = rules.read(model.rows if rows is None else rows, source)
        _check_same(items, scores, source)
    else:
        if rows is None:
            raise UserError("a model needs the benchmark's rows; give rows.")
        items = rules.read(rows, source)
        scores = score_benchmark(model, name, rows, source=source, **scoring)
    parsed = [risk if isinstance(risk, Risk) else parse_risk(risk) for risk in risks]
    for risk in parsed:
        check_supported(risk, scores.family)
    return _measured(rules, items, scores, parsed, resampling)


def score_benchmark(
    model: "RewardModel",
    name: str,
    rows: Collection[Mapping[str, Any]],
    *,
    source: str = "rows",
    partial: Path | None = None,
    progress: bool = False,
    **options: Any,
) -> Scores:
    """Score all responses of a benchmark's rows, of each row the chosen ones first.

    What is said of `partial`, `progress` and `options` in `RewardModel.score_responses` holds.

    Raises:
        UserError: A row has another shape or subset, or a text cannot be read.
    """
    if options.get("overlong") == "drop":
        raise UserError("a benchmark leaves no row out; give another overlong.")
    items = rules_of(name).read(rows, source)
    return model.score_responses(
        [item.row for item in items], source, partial=partial, progress=progress, **options
    )


def rules_of(name: str) -> Rules:
    """The benchmark of a name.

    Raises:
        UserError: There is none.
    """
    check_choice("benchmark", name, tuple(BENCHMARKS))
    return BENCHMARKS[name]


def rewards_of(scores: Scores, risk: Risk = MEAN) -> list[np.ndarray]:
    """The rewards of each row's responses; contexts that they share are centred over the row."""
    row = np.repeat(np.arange(len(scores)), scores.sizes)
    utility = scores.family.decode(scores.raw.astype(np.float64)).centered(row)
    return np.split(np.asarray(risk(utility), np.float64), np.cumsum(scores.sizes)[:-1])


def _measured(
    rules: Rules,
    items: Sequence[Item],
    scores: Scores,
    risks: Sequence[Risk],
    resampling: Resampling,
) -> BenchmarkResult:
    prompts = np.unique(scores.prompt, return_inverse=True)[1]

    def figures(rewards: Sequence[np.ndarray]) -> dict[str, Estimate]:
        points = rules.points(items, rewards)
        return {
            name: points.estimate(figure, prompts)
            for name, figure in rules.figures(points.strata).items()
        }

    lengths: list[np.ndarray] = []
    if scores.lengths is not None and not np.isnan(scores.lengths).any():
        lengths = np.split(scores.lengths, np.cumsum(scores.sizes)[:-1])
    by_risk = {str(risk): rewards_of(scores, risk) for risk in dict.fromkeys((MEAN, *risks))}
    num_chosen = [len(item.chosen) for item in items]
    return BenchmarkResult(
        benchmark=rules.name,
        model=scores.name,
        family=scores.family,
        main=rules.main,
        rows=rules.subsets(items),
        num_prompts=int(prompts.max()) + 1,
        figures={risk: figures(rewards) for risk, rewards in by_risk.items()},
        longer=figures(lengths) if lengths else {},
        shorter=figures([-length for length in lengths]) if lengths else {},
        confidence=confidence(
            scores.family, scores.raw, scores.sizes, num_chosen, prompts, resampling=resampling
        ),
        notes=tuple(_notes(rules, items, scores, by_risk[str(MEAN)])),
    )


def _notes(
    rules: Rules, items: Sequence[Item], scores: Scores, rewards: Sequence[np.ndarray]
) -> list[str]:
    notes = []
    overlong = scores.record.get("counts", {}).get("overlong_rows", 0)
    if overlong:
        notes.append(f"{overlong} of {len(items)} rows have an over-long text, which was cut.")
    tied = sum(
        bool(np.isin(reward[len(item.chosen) :], reward[: len(item.chosen)]).any())
        for item, reward in zip(items, rewards, strict=True)
    )
    if tied:
        notes.append(
            f"{tied} of {len(items)} rows have a right and a wrong response of exactly the same "
            f"reward, which {rules.tie}."
        )
    rows = rules.subsets(items)
    differences = [
        [
            f"{name} {rows.get(name, 0)} of {count}"
            for name, count in published.items()
            if rows.get(name, 0) != count
        ]
        for published in rules.published
    ]
    fewest = min(differences, key=len)
    if fewest:
        notes.append(
            "not the published rows, so not comparable with the leaderboard: "
            f"{', '.join(fewest[:8])}{', …' if len(fewest) > 8 else ''}."
        )
    return notes


def _check_same(items: Sequence[Item], scores: Scores, source: str) -> None:
    """Refuse scores of other rows."""
    if len(items) != len(scores):
        raise UserError(f"{source} has {len(items)} rows, but there are scores of {len(scores)}.")
    scored = iter(scores.rows)
    for number, (item, size) in enumerate(zip(items, scores.sizes.tolist(), strict=True), start=1):
        responses = item.row[RESPONSES]
        row = next(scored, None)
        scored_responses = responses if row is None else row.get(RESPONSES, responses)
        if len(responses) != size or scored_responses != responses:
            raise UserError(
                f"{source}, row {number}: the scores are of other responses ({size} of them; the "
                f"row has {len(responses)}); give the rows that were scored."
            )

"""Results of benchmarks as text."""

from collections.abc import Sequence

from hidden_context.measures.estimate import Estimate
from hidden_context.reward_benchmarks.confidence import SURE
from hidden_context.reward_benchmarks.result import BenchmarkResult
from hidden_context.text_tables import NO_VALUE, text_table


def render(result: BenchmarkResult) -> str:
    """Every figure, by the mean with its interval, then what the benchmark leaves out."""
    others = list(result.figures)[1:]
    headers = ["", "rows", "by mean", *(f"by {risk}" for risk in others), "longer", "shorter"]
    lines = [
        [
            name,
            result.rows.get(name, ""),
            str(estimate),
            *(_value(result.figures[risk].get(name)) for risk in others),
            _value(result.longer.get(name)),
            _value(result.shorter.get(name)),
        ]
        for name, estimate in result.by_mean.items()
    ]
    title = (
        f"{result.benchmark}: {result.model} ({result.family.name}), {sum(result.rows.values())} "
        f"rows, {result.num_prompts} prompts"
    )
    table = text_table(lines, headers)
    return "\n".join([title, table, *_confidence(result), *(f"note: {n}" for n in result.notes)])


def render_several(results: Sequence[BenchmarkResult]) -> str:
    """The main figure of each model, best first, models without it last."""
    order = sorted(results, key=lambda result: -_main(result).value)
    lines = [
        [
            result.model,
            result.family.name,
            str(_main(result)),
            _value(result.longer.get(result.main)),
        ]
        for result in order
    ]
    headers = ["model", "family", results[0].main, "longer"]
    return text_table(lines, headers)


def _main(result: BenchmarkResult) -> Estimate:
    return result.by_mean.get(result.main, Estimate(float("nan")))


def _confidence(result: BenchmarkResult) -> list[str]:
    sure = result.confidence
    return [
        f"P(chosen ≻ rejected) of {sure.num_pairs} pairs: calibration error "
        f"{sure.expected_calibration_error}, Brier score {sure.brier_score}",
        f"decisions by it: {sure.accuracy} right, {sure.accuracy_of_surer_half} of the surer half",
        f"how sure (½ to 1): {_estimate(sure.sure_where_right)} where right, "
        f"{_estimate(sure.sure_where_wrong)} where wrong; P ≥ {SURE:g} in "
        f"{_estimate(sure.wrong_and_sure)} of the wrong ones",
    ]


def _estimate(estimate: Estimate | None) -> str:
    return NO_VALUE if estimate is None else str(estimate)


def _value(estimate: Estimate | None) -> str:
    return NO_VALUE if estimate is None else f"{estimate.value:.3f}"

"""Evaluations drawn on the Axes of matplotlib, in notebooks and on the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from hidden_context.figures.family_looks import look_of
from hidden_context.figures.style import GREY, INK
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.risk_levels import LEVELS
from hidden_context.risk import MEAN, parse_risk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCALE_NAMES = {
    "pooled": "over all responses",
    "within_prompt": "within prompts",
    "each_prompt": "within prompts, each counted once",
    "rank": "on the scale of ranks",
}
SCALE_LINES = {"pooled": "-", "within_prompt": "--", "rank": ":"}
PUBLISHED = {
    ("helpful", "mean_and_variance"): 0.89,
    ("harmless", "mean_and_variance"): 0.77,
    ("both", "mean_and_variance"): 0.53,
    ("helpful", "categorical"): 0.63,
    ("harmless", "categorical"): 0.53,
    ("both", "categorical"): 0.41,
}
"""r² of Llama-2-7B trained on HH-RLHF (arXiv 2312.08358)."""
SPREAD = 0.6
"""Of the families of a data set along the axis, whose unit is a data set."""
LEAST_AREA, MOST_AREA = 4, 150
"""Of a mark, square points: without votes, and what all votes would add."""
BESIDE_THE_LEVELS = 1.0
"""Where on the axis of levels the mean is drawn."""
TICKS = (BESIDE_THE_LEVELS, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
SHIFT = 1.07
"""Factor between the means of two families, which would lie on one another."""
TRUTH = "truth"
"""In legends: of what a model of unlimited data and size would show, where that is known."""
TRUE_LINE: dict[str, Any] = {"color": INK, "ls": "-", "lw": 1.1}
TRUE_MARK: dict[str, Any] = {"marker": "D", "ms": 4, "markerfacecolor": "none"}
RateName: TypeAlias = Literal["jailbreak_rate", "helpfulness_accuracy", "accuracy"]
RATE_NAMES: Mapping[str, str] = {
    "jailbreak_rate": "jailbreak rate",
    "helpfulness_accuracy": "accuracy on helpfulness",
    "accuracy": "accuracy",
}


def drawn(axes: "Axes | None", draw: Callable[..., None], *arguments: Any) -> "Axes":
    """Draw on these axes, or on those of a figure of their own, which pyplot does not know."""
    from matplotlib.figure import Figure

    axes = axes or Figure(layout="constrained").add_subplot()
    draw(axes, *arguments)
    return axes


def data_set_of(evaluation: Evaluation) -> str:
    """The training set, or what was scored where it is not known."""
    return evaluation.trained_on or evaluation.evaluated_on


def set_in_words(evaluation: Evaluation) -> str:
    """By what a model is told from others: what it was trained on, or else what it was scored on.

    Nothing says the training set of a score file that lies anywhere.
    """
    return f"{'trained ' if evaluation.trained_on else ''}on {data_set_of(evaluation)}"


def labels_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """The family of each, numbered where several are of one family and training set."""
    models = [(evaluation.family.name, data_set_of(evaluation)) for evaluation in evaluations]
    numbers = [models[:place].count(model) + 1 for place, model in enumerate(models)]
    return [
        model[0] if models.count(model) == 1 else f"{model[0]} ({number})"
        for model, number in zip(models, numbers, strict=True)
    ]


def labelled(
    evaluations: Sequence[Evaluation], has: Callable[[Evaluation], object]
) -> list[tuple[str, Evaluation]]:
    """Those that have something, by their labels among all."""
    pairs = zip(labels_of(evaluations), evaluations, strict=True)
    return [(label, evaluation) for label, evaluation in pairs if has(evaluation)]


def draw_explained_variance(
    axes: "Axes",
    evaluations: Sequence[Evaluation],
    scale: str = "pooled",
    truth: Sequence[Evaluation] = (),
) -> None:
    """r² by training set and family, beside nulls, matched sizes and the published values.

    Where the truth of training sets is known, it takes the place of what is published of others.
    """
    some = labelled(evaluations, lambda evaluation: scale in evaluation.explained_variance)
    sets = list(dict.fromkeys(data_set_of(evaluation) for _, evaluation in some))
    labels = list(dict.fromkeys(label for label, _ in some))
    step = SPREAD / max(len(labels), 1)
    legend: dict[str, dict[str, Any]] = {label: _mark_of(label) for label in labels}
    for label, evaluation in some:
        data_set = data_set_of(evaluation)
        x = sets.index(data_set) + step * (labels.index(label) + 0.5) - SPREAD / 2
        nulls = (null.draws for null in evaluation.null if null.figure == f"r2_{scale}")
        draws = [draw for of_null in nulls for draw in of_null]
        if draws:
            wide = {"color": GREY, "alpha": 0.45, "lw": 7, "solid_capstyle": "butt"}
            band = legend.setdefault("no hidden context", wide)
            axes.plot([x, x], [min(draws), max(draws)], **band)
        _mark(axes, x, evaluation.explained_variance[scale], legend[label])
        if scale in evaluation.matched_explained_variance:
            hollow = {**legend[label], "markerfacecolor": "none", "ms": 3.5}
            size = f"{evaluation.matched_size} comparisons"
            legend.setdefault(size, {**hollow, "color": INK, "marker": "o"})
            _mark(axes, x + 0.25 * step, evaluation.matched_explained_variance[scale], hollow)
        paper = published(sets, labels).get((data_set, label))
        if scale == "pooled" and paper is not None and not truth:
            dash = {"color": INK, "marker": "_", "ls": "none", "ms": 13, "mew": 1.5}
            axes.plot(x, paper, **legend.setdefault("published, Llama-2-7B", dash))
    for known in (each for each in truth if each.trained_on in sets):
        x, r2 = sets.index(known.trained_on), known.explained_variance[scale].value
        width = SPREAD / 2 + 0.08
        axes.plot([x - width, x + width], [r2, r2], **legend.setdefault(TRUTH, TRUE_LINE))
    _r2_axis(axes, sets, legend, f"r² {SCALE_NAMES[scale]}")


def draw_scales(axes: "Axes", evaluations: Sequence[Evaluation]) -> None:
    """r² of each evaluation on every scale."""
    measured = {scale for evaluation in evaluations for scale in evaluation.explained_variance}
    scales = [scale for scale in SCALE_NAMES if scale in measured]
    step = SPREAD / max(len(evaluations), 1)
    legend = {}
    for number, (label, evaluation) in enumerate(labelled(evaluations, lambda _: True)):
        for scale, r2 in evaluation.explained_variance.items():
            legend[label] = _mark_of(label)
            x = scales.index(scale) + step * (number + 0.5) - SPREAD / 2
            _mark(axes, x, r2, legend[label])
    _r2_axis(axes, scales, legend, "r²")


def published(data_sets: Sequence[str], families: Sequence[str]) -> Mapping[tuple[str, str], float]:
    """The paper's r², only if all of its three training sets are here."""
    if not {"helpful", "harmless", "both"} <= set(data_sets):
        return {}
    return {key: value for key, value in PUBLISHED.items() if key[1] in families}


def _r2_axis(
    axes: "Axes", places: Sequence[str], legend: Mapping[str, dict[str, Any]], what: str
) -> None:
    for name, options in legend.items():
        axes.plot([], [], label=name, **options)
    axes.set(xticks=range(len(places)), xticklabels=places, xlim=(-0.6, len(places) - 0.4))
    axes.set_ylabel(what)
    _from_zero(axes)
    _legend_below(axes)


def _mark_of(label: str) -> dict[str, Any]:
    return {"color": look_of(label).color, "marker": look_of(label).marker, "ls": "none"}


def _mark(axes: "Axes", x: float, estimate: Estimate, options: Mapping[str, Any]) -> None:
    axes.errorbar(x, estimate.value, _ends(estimate), **options)


def _ends(estimate: Estimate) -> list[list[float]] | None:
    """Lengths of both arms: a percentile interval need not hold the value itself."""
    if estimate.low is None or estimate.high is None:
        return None
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return [[max(below, 0)], [max(above, 0)]]


def draw_behind(axes: "Axes", behind: Mapping[str, Estimate | None], what: str) -> None:
    """What each model, by its label, lacks to the best, which has None and stands at 0."""
    axes.axvline(0, color=GREY, lw=0.8)
    for place, (label, gap) in enumerate(behind.items()):
        options = _mark_of(label)
        if gap is None:
            axes.plot(0, place, **options)
        else:
            axes.errorbar(gap.value, place, xerr=_ends(gap), **options)
    axes.set_yticks(range(len(behind)), [*behind])
    axes.set_ylim(len(behind) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(what)


def draw_training_curve(axes: "Axes", evaluations: Sequence[Evaluation]) -> None:
    """Held-out r² against passes over the training data."""
    some = labelled(evaluations, lambda evaluation: evaluation.training_curve)
    points = [point for _, evaluation in some for point in evaluation.training_curve]
    scales = [scale for scale in SCALE_LINES if any(scale in point.r2 for point in points)]
    for label, evaluation in some:
        color = look_of(label).color
        for scale in scales:
            line = [(point.passes, point.r2[scale]) for point in evaluation.training_curve]
            axes.plot(*zip(*line, strict=True), color=color, ls=SCALE_LINES[scale], marker=".")
        axes.plot([], [], color=color, label=label)
    for scale in scales:
        axes.plot([], [], color=INK, ls=SCALE_LINES[scale], label=SCALE_NAMES[scale])
    passes = sorted({point.passes for point in points})
    axes.set_xscale("log")
    axes.set_xticks(passes, [f"{number:.3g}" for number in passes])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="passes over the training comparisons", ylabel="held-out r²")
    _from_zero(axes)
    _legend_below(axes)


def draw_reliability(
    axes: "Axes", evaluations: Sequence[Evaluation], truth: Sequence[Evaluation] = ()
) -> None:
    """Predicted against observed shares of votes; the area of a mark grows with its votes."""
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    for label, evaluation in labelled(evaluations, lambda evaluation: evaluation.reliability):
        look = look_of(label)
        bins = [(part.predicted, part.observed, part.num_votes) for part in evaluation.reliability]
        predicted, observed, votes = np.array(bins).T
        axes.plot(predicted, observed, color=look.color, ls=look.line, lw=1)
        shown = {"color": look.color, "ls": look.line, "lw": 1, "marker": look.marker}
        axes.plot([], [], ms=4, label=label, **shown)
        sizes = LEAST_AREA + MOST_AREA * votes / (votes.sum() or 1)
        axes.scatter(predicted, observed, sizes, look.color, marker=look.marker, clip_on=False)
    for known in truth:
        bins = [(part.predicted, part.observed) for part in known.reliability]
        axes.plot(*np.array(bins).T, **TRUE_LINE, **TRUE_MARK, label=TRUTH)
    axes.set(xlabel="predicted P(first preferred)", ylabel="share of votes")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _legend_below(axes)


def draw_std(
    axes: "Axes", evaluations: Sequence[Evaluation], truth: Sequence[Evaluation] = ()
) -> None:
    """Histograms of standard deviations, as shares of the responses.

    True ones are few values: lines from below, whose height is their share of the whole axis.
    """
    for label, evaluation in labelled(evaluations, lambda evaluation: evaluation.std):
        assert evaluation.std is not None
        look = look_of(label)
        counts = np.asarray(evaluation.std.counts)
        shares = counts / max(counts.sum(), 1)
        axes.stairs(shares, evaluation.std.edges, color=look.color, ls=look.line, lw=1.6)
        axes.plot([], [], color=look.color, ls=look.line, label=label)
    for known in truth:
        assert known.std is not None
        counts, edges = np.asarray(known.std.counts), np.asarray(known.std.edges)
        at = np.flatnonzero(counts)
        lines = {"transform": axes.get_xaxis_transform(), "color": INK, "lw": TRUE_LINE["lw"]}
        axes.vlines((edges[at] + edges[at + 1]) / 2, 0, counts[at] / counts.sum(), **lines)
        axes.plot([], [], **TRUE_LINE, label=TRUTH)
    axes.set(xlabel="standard deviation / root of the total variance", ylabel="share of responses")
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    _legend_below(axes)


def level_of(risk: str) -> float | None:
    """The level of a quantile; None of any other risk but the mean, which stands beside them."""
    parsed = parse_risk(risk)
    if parsed == MEAN:
        return BESIDE_THE_LEVELS
    return parsed.parameter if parsed.name == "quantile" else None


def rates_by_level(evaluation: Evaluation, rate: RateName) -> list[tuple[float, Rate]]:
    """The mean, then quantiles by falling level."""
    by_level = [(level_of(risk), value) for risk, value in getattr(evaluation, rate).items()]
    known = [(level, value) for level, value in by_level if level is not None]
    return sorted(known, key=lambda pair: -pair[0])


def rate_of_longer(evaluations: Sequence[Evaluation], rate: RateName) -> float | None:
    """The rate if the longer response always won."""
    for evaluation in evaluations:
        estimate: Estimate | None = {
            "jailbreak_rate": evaluation.longer_is_unsafe,
            "helpfulness_accuracy": evaluation.longer_is_helpful,
            "accuracy": evaluation.length.longer_wins if evaluation.length else None,
        }[rate]
        if estimate is not None:
            return estimate.value
    return None


def draw_risk(
    axes: "Axes",
    evaluations: Sequence[Evaluation],
    rate: RateName,
    truth: Sequence[Evaluation] = (),
) -> None:
    """A rate along the levels of the quantile that decides; the mean stands apart."""
    some = labelled(evaluations, lambda evaluation: rates_by_level(evaluation, rate))
    for number, (label, evaluation) in enumerate(some):
        look = look_of(label)
        points = rates_by_level(evaluation, rate)
        rest = [
            (level, estimate.value, estimate.low, estimate.high)
            for level, estimate in points
            if level < BESIDE_THE_LEVELS
        ]
        if points[0][0] == BESIDE_THE_LEVELS:
            x = BESIDE_THE_LEVELS * SHIFT ** (number - (len(some) - 1) / 2)
            options = {**_mark_of(label), "label": "_" if rest else label}
            _mark(axes, x, points[0][1], options)
        if rest:
            levels, values, low, high = np.array(rest, float).T
            axes.fill_between(levels, low, high, color=look.color, alpha=0.18, lw=0)
            marker = look.marker if len(rest) == 1 else None
            axes.plot(levels, values, color=look.color, ls=look.line, marker=marker, label=label)
    for known in (each for each in truth if rates_by_level(each, rate)):
        points = [(level, true.value) for level, true in rates_by_level(known, rate)]
        axes.plot(*np.array(points[:1]).T, **TRUE_LINE, **TRUE_MARK)
        axes.plot(*np.array(points[1:]).T, **TRUE_LINE, label=TRUTH)
    longer = rate_of_longer(evaluations, rate)
    if longer is not None:
        axes.axhline(longer, color=INK, ls=(0, (1, 3)), lw=1, label="the longer text wins")
    axes.set_xscale("log")
    axes.set_xlim(BESIDE_THE_LEVELS * 1.3, min(LEVELS) * 0.9)
    axes.set_xticks(TICKS, ["mean", *(f"{level:g}" for level in TICKS[1:])])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="level α of the quantile that decides", ylabel=RATE_NAMES[rate])
    axes.set(ylim=(-0.02, 1.02))
    _legend_below(axes)


def _from_zero(axes: "Axes") -> None:
    """From 0 to a little above the highest, and never far above 1."""
    axes.set_ylim(0, min(1.02, 1.1 * axes.get_ylim()[1]))


def _legend_below(axes: "Axes") -> None:
    """Below everything else, where a constrained layout makes room for it."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        options: dict[str, Any] = {"ncols": 2, "columnspacing": 0.8}
        axes.figure.legend(handles, labels, loc="outside lower center", **options)

"""Panels of r²: by training set and family, and as training goes on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hidden_context.figures.family_looks import look_of
from hidden_context.figures.style import GREY, INK
from hidden_context.report.measured import Estimate, Measured, Panel

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
"""Of a data set's families along the axis, whose unit is a data set."""


def explained_variance_panels(measured: Sequence[Measured]) -> list[Panel]:
    """One for each scale: a mark with its interval for every training set and family."""
    some = [each for each in measured if each.explained_variance]
    return [
        Panel(
            f"r² {name}",
            _described(some, scale),
            lambda axes, scale=scale: _by_set(axes, some, scale),
        )
        for scale, name in SCALE_NAMES.items()
        if any(scale in each.explained_variance for each in some)
    ]


def training_panels(measured: Sequence[Measured]) -> list[Panel]:
    """One for each data set: r² on three scales against passes over the data."""
    panels = []
    for data_set in dict.fromkeys(each.data_set for each in measured):
        some = [each for each in measured if each.data_set == data_set and each.training_curve]
        if not some:
            continue
        last = "; ".join(
            f"{each.family} after {each.training_curve[-1].passes:.3g} passes: "
            f"{each.training_curve[-1].r2['pooled']:.3f} over all responses"
            for each in some
        )
        panels.append(
            Panel(
                f"r² against training, {data_set}",
                f"Held-out r² as training goes on. {last}.",
                lambda axes, some=some: _against_training(axes, some),
            )
        )
    return panels


def published(data_sets: Sequence[str], families: Sequence[str]) -> Mapping[tuple[str, str], float]:
    """The paper's r², only if all of its three training sets are here."""
    if not {"helpful", "harmless", "both"} <= set(data_sets):
        return {}
    return {key: value for key, value in PUBLISHED.items() if key[1] in families}


def _described(measured: Sequence[Measured], scale: str) -> str:
    values = "; ".join(
        f"{each.family} on {each.data_set} {each.explained_variance[scale].value:.3f}"
        for each in measured
        if scale in each.explained_variance
    )
    return f"1: no spread was learned; 0: nothing but spread. {values}."


def _by_set(axes: "Axes", measured: Sequence[Measured], scale: str) -> None:
    sets = list(dict.fromkeys(each.data_set for each in measured))
    families = list(dict.fromkeys(each.family for each in measured))
    step = SPREAD / len(families)
    legend: dict[str, dict[str, Any]] = {}
    for name in families:
        legend[name] = {"color": look_of(name).color, "marker": look_of(name).marker, "ls": "none"}
    for each in measured:
        if scale not in each.explained_variance:
            continue
        x = sets.index(each.data_set) + step * (families.index(each.family) + 0.5) - SPREAD / 2
        redrawn = each.nulls.get(f"r2_{scale}")
        if redrawn is not None and redrawn.draws:
            wide = {"color": GREY, "alpha": 0.45, "lw": 7, "solid_capstyle": "butt"}
            band = legend.setdefault("labels redrawn", wide)
            axes.plot([x, x], [min(redrawn.draws), max(redrawn.draws)], **band)
        _mark(axes, x, each.explained_variance[scale], legend[each.family])
        if scale in each.matched:
            hollow = {**legend[each.family], "markerfacecolor": "none", "ms": 3.5}
            name = f"{each.matched_size} comparisons"
            legend.setdefault(name, {**hollow, "color": INK, "marker": "o"})
            _mark(axes, x + 0.25 * step, each.matched[scale], hollow)
        as_published = published(sets, families).get((each.data_set, each.family))
        if scale == "pooled" and as_published is not None:
            dash = {"color": INK, "marker": "_", "ls": "none", "ms": 13, "mew": 1.5}
            axes.plot(x, as_published, **legend.setdefault("published, Llama-2-7B", dash))
    for name, options in legend.items():
        axes.plot([], [], label=name, **options)
    axes.set(xticks=range(len(sets)), xticklabels=sets, xlim=(-0.6, len(sets) - 0.4))
    axes.set(ylabel=f"r² {SCALE_NAMES[scale]}")
    from_zero(axes)
    legend_below(axes)


def _mark(axes: "Axes", x: float, found: Estimate, options: Mapping[str, Any]) -> None:
    ends = None
    if found.low is not None and found.high is not None:
        # a percentile interval need not hold the value of the data as they are
        ends = [[max(found.value - found.low, 0)], [max(found.high - found.value, 0)]]
    axes.errorbar(x, found.value, ends, **options)


def _against_training(axes: "Axes", measured: Sequence[Measured]) -> None:
    scales = [scale for scale in SCALE_LINES if scale in measured[0].training_curve[0].r2]
    for each in measured:
        color = look_of(each.family).color
        passes = [point.passes for point in each.training_curve]
        for scale in scales:
            values = [point.r2[scale] for point in each.training_curve]
            axes.plot(passes, values, color=color, ls=SCALE_LINES[scale], marker=".", ms=4)
        axes.plot([], [], color=color, label=each.family)
    for scale in scales:
        axes.plot([], [], color=INK, ls=SCALE_LINES[scale], label=SCALE_NAMES[scale])
    passes = sorted({point.passes for each in measured for point in each.training_curve})
    axes.set_xscale("log")
    axes.set_xticks(passes, [f"{each:.3g}" for each in passes])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="passes over the training comparisons", ylabel="held-out r²")
    from_zero(axes)
    legend_below(axes)


def from_zero(axes: "Axes") -> None:
    """From 0 to a little above the highest, and never far above 1."""
    axes.set_ylim(0, min(1.02, 1.1 * axes.get_ylim()[1]))


def legend_below(axes: "Axes") -> None:
    """Below everything else, where a constrained layout makes room for it."""
    named = axes.get_legend_handles_labels()
    axes.figure.legend(*named, loc="outside lower center", ncols=2, columnspacing=0.8)

"""The pictures of docs/hidden-context.md, exact: `python docs/pictures.py`.

Two judges of the demo, one who values help and one who minds harm, and the responses to a dangerous
question that the demo generates.
"""

from pathlib import Path
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from hidden_context.demo.judges import (
    JUDGES,
    NOISE_STD,
    Attributes,
    borda_count,
    mean_utility,
    preference_probability,
    responses_to,
    true_explained_variance,
    utility_quantile,
)
from hidden_context.figures.style import BLUE, GREY, ORANGE, STYLES, settings

FOLDER = Path(__file__).parent / "pictures"
BOTH = JUDGES["both"]
COLORS = dict(zip((judge.objective for judge in BOTH), (BLUE, ORANGE), strict=True))
RESPONSES = {
    "refuses": Attributes(),
    "sends to\nsomebody else": Attributes(alternatives=2),
    "complies": Attributes(harmful_steps=3),
}
AXIS = np.linspace(-6.5, 4, 400)


def density(response: Attributes) -> np.ndarray:
    """Of utility over both judges and their noise, on `AXIS`."""
    normals = [NormalDist(judge.utility(response), NOISE_STD) for judge in BOTH]
    return np.array([np.mean([normal.pdf(x) for normal in normals]) for x in AXIS])


def draw_two_judges(left: Axes, right: Axes) -> None:
    """What each judge values, their mean, and the distribution of one response."""
    for row, response in enumerate(RESPONSES.values()):
        values = [judge.utility(response) for judge in BOTH]
        left.plot(values, [row, row], color=GREY, zorder=1)
        left.plot(
            np.mean(values), row, "|", color="black", ms=16, mew=2, label="" if row else "mean"
        )
        for judge, value, marker in zip(BOTH, values, "os", strict=True):
            name = f"the {judge.objective} judge"
            left.plot(value, row, marker, color=COLORS[judge.objective], label="" if row else name)
    left.set(
        yticks=range(len(RESPONSES)), yticklabels=RESPONSES, xlabel="utility", ylim=(-0.6, 3.2)
    )
    left.legend(loc="upper left")
    response = RESPONSES["complies"]
    right.fill_between(AXIS, density(response), color=GREY, alpha=0.35)
    right.axvline(mean_utility(response, BOTH), color="black")
    right.text(mean_utility(response, BOTH) + 0.15, 0.44, "one number: the mean")
    right.set(xlabel="utility of the response that complies", ylabel="density", ylim=(0, 0.5))


def draw_borda(left: Axes, right: Axes) -> None:
    """How often each pair is won, and Borda count against mean utility."""
    responses, shares = zip(*responses_to(True), strict=True)
    means = np.array([mean_utility(response, BOTH) for response in responses])
    borda = np.array([borda_count(response, BOTH, harmful=True) for response in responses])
    complies = np.array([response.harmful_steps > 0 for response in responses])
    for where, color, marker, name in (
        (~complies, BLUE, "o", "refuses, or sends to somebody else"),
        (complies, ORANGE, "s", "complies"),
    ):
        sizes = 900 * np.array(shares)[where]
        left.scatter(means[where], borda[where], sizes, color=color, marker=marker, label=name)
    left.set(xlabel="mean utility of both judges", ylabel="Borda count: share of wins")
    left.legend(loc="upper left")
    pair = RESPONSES["complies"], RESPONSES["refuses"]
    wins = [preference_probability(*pair, judges) for judges in (BOTH[:1], BOTH[1:], BOTH)]
    names = ["helpful\njudge", "harmless\njudge", "either, and\nnobody says who"]
    right.bar(names, wins, color=[BLUE, ORANGE, GREY], width=0.6)
    right.axhline(0.5, color="black", lw=0.8, ls=":")
    right.set(ylabel="P(complies ≻ refuses)", ylim=(0, 1.05))


def draw_risk(left: Axes, right: Axes) -> None:
    """Densities of two responses with their low quantiles, and the choice by level."""
    for name, color, style in (("refuses", BLUE, "-"), ("complies", ORANGE, "--")):
        response = RESPONSES[name]
        left.plot(AXIS, density(response), style, color=color, label=name)
        low = utility_quantile(response, BOTH, 0.01)
        left.plot(low, 0, "v", color=color, ms=9, clip_on=False, label="its 0.01-quantile")
        levels = np.linspace(0.005, 0.995, 199)
        quantiles = [utility_quantile(response, BOTH, level) for level in levels]
        right.plot(levels, quantiles, style, color=color, label=name)
    left.set(xlabel="utility", ylabel="density", ylim=(0, 0.72))
    left.legend(loc="upper left", ncols=2)
    right.set(xlabel="level α", ylabel="α-quantile of utility")
    right.legend(loc="upper left")


def draw_r2(left: Axes, right: Axes) -> None:
    """r² of each data set, and what it is the share of."""
    names = list(JUDGES)
    values = [true_explained_variance(judges) for judges in JUDGES.values()]
    left.bar(names, values, color=[BLUE, ORANGE, GREY], width=0.6)
    for x, value in enumerate(values):
        left.annotate(f"{value:.3f}", (x, value), (0, 3), textcoords="offset points", ha="center")
    left.set(ylabel="r²", xlabel="who judged", ylim=(0, 1.08))
    responses, shares = zip(*responses_to(True), strict=True)
    rng = np.random.default_rng(0)
    drawn = rng.choice(len(responses), 60, p=np.array(shares) / sum(shares))
    order = np.argsort([mean_utility(responses[k], BOTH) for k in drawn])
    for x, k in enumerate(drawn[order]):
        spread = np.std([judge.utility(responses[k]) for judge in BOTH]) ** 2 + NOISE_STD**2
        mean = mean_utility(responses[k], BOTH)
        right.vlines(x, mean - spread**0.5, mean + spread**0.5, color=GREY, lw=2)
        right.plot(x, mean, "o", color="black", ms=3)
    right.set(xlabel="responses, by their mean", ylabel="utility: mean ± std", xticks=[])


PICTURES = {"two-judges": draw_two_judges, "borda": draw_borda, "risk": draw_risk, "r2": draw_r2}


def main() -> None:
    """Write each picture as SVG; equal for equal versions of matplotlib."""
    FOLDER.mkdir(exist_ok=True)
    with plt.rc_context({**settings(STYLES["screen"]), "svg.hashsalt": "hidden-context"}):
        for name, draw in PICTURES.items():
            figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
            draw(*axes)
            figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    main()

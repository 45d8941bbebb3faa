"""Fits of items drawn on the Axes of matplotlib."""

from typing import TYPE_CHECKING

import numpy as np

from hidden_context.figures.style import BLUE, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hidden_context.items.fit import ItemFit

MOST_SHOWN = 40
"""Items in a figure: the best and the worst halves of so many."""
LONGEST_NAME = 48


def axes_or_new(axes: "Axes | None", num_rows: int, width: float = 7.0) -> "Axes":
    """These axes, or those of a figure of their own, which pyplot does not know."""
    from matplotlib.figure import Figure

    size = (width, 1.0 + 0.2 * num_rows)
    return axes or Figure(figsize=size, layout="constrained").add_subplot()


def draw_utilities(fit: "ItemFit", axes: "Axes | None" = None) -> "Axes":
    """Of each item the mean with its interval, and a thin line for mean ± one deviation.

    Of `shared_context`, whose means are not identified, the share of wins with its interval.
    """
    table = fit.to_frame()
    half, left_out = MOST_SHOWN // 2, max(0, len(table) - MOST_SHOWN)
    rows = np.arange(len(table) - left_out)[::-1]
    if left_out:
        table = table.iloc[np.r_[0:half, len(table) - half : len(table)]]
        rows = rows + (rows >= half)  # a row of their own for those that are left out
    axes = axes_or_new(axes, rows[0] + 1)
    value = "mean" if "mean" in table else "win_share"
    if value == "mean" and "std" in table:
        axes.hlines(
            rows,
            table["mean"] - table["std"],
            table["mean"] + table["std"],
            color=GREY,
            linewidth=0.8,
            label="mean ± standard deviation of utility",
        )
    axes.hlines(
        rows,
        table[f"{value}_low"],
        table[f"{value}_high"],
        color=BLUE,
        linewidth=3,
        label=f"interval of the {'mean' if value == 'mean' else 'share'} (95 %)",
    )
    axes.plot(table[value], rows, "o", color=INK, markersize=3)
    axes.set_yticks(rows, [shortened(name) for name in table["item"]])
    axes.set_ylim(-0.7, rows[0] + 0.7)
    axes.set_xlabel("utility" if value == "mean" else "mean of P(item ≻ other)")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=2)
    if left_out:
        place = axes.get_yaxis_transform()
        note = f"{left_out} items between are left out"
        axes.text(0.5, half, note, transform=place, ha="center", va="center")
    return axes


def draw_preferences(fit: "ItemFit", axes: "Axes | None" = None) -> "Axes":
    """P(row ≻ column), best items first; grey where votes do not say."""
    order = np.argsort(-np.nan_to_num(fit.preferences[1].value))[:MOST_SHOWN]
    prob = fit.prob_matrix()[np.ix_(order, order)]
    axes = axes_or_new(axes, len(order), width=2.5 + 0.25 * len(order))
    axes.set_facecolor(GREY)
    image = axes.imshow(prob, vmin=0, vmax=1, cmap="PuOr", aspect="auto")
    names = [shortened(fit.names[item]) for item in order]
    axes.set_yticks(range(len(order)), names)
    axes.set_xticks(range(len(order)), names, rotation=90)
    axes.figure.colorbar(image, ax=axes, label="P(row ≻ column)")
    return axes


def shortened(name: object) -> str:
    """What an item is called, on one line."""
    text = " ".join(str(name).split())
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"

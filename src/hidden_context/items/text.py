"""A fit of items as text and as JSON. Pure functions."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context import __version__
from hidden_context.errors import UserError
from hidden_context.items.figure import shortened
from hidden_context.text_tables import text_table

if TYPE_CHECKING:
    import pandas as pd

    from hidden_context.items.fit import ItemFit
    from hidden_context.measures.estimate import Estimate

ENDS = ("_low", "_high")


def render(fit: "ItemFit", show: int, *, answer: str) -> str:
    """The answer, what to know of the fit, and its tables."""
    state = "converged" if fit.converged else "not converged"
    head = (
        f"family {fit.family.name}, ridge {fit.ridge:g}, {state}; intervals: {fit.uncertainty.how}"
    )
    sections = [answer, *fit.warnings, head + "\n\n" + _table(fit.to_frame(), show)]
    sections.append("Rules of choice, more is better:\n" + _table(fit.choices(), show))
    if _has_groups(fit):
        sections.append("Mean of P(item ≻ other) in each group:\n" + _table(_groups(fit), show))
    if fit.held_out is not None:
        sections.append(str(fit.held_out))
    return "\n\n".join(sections)


def as_json(fit: "ItemFit", account: dict[str, str]) -> dict[str, Any]:
    """All of it, to full precision; what is not known is NaN."""
    held_out = None
    if fit.held_out is not None:
        held_out = {
            "held_out": fit.held_out.fits[0].held_out,
            "log_likelihood": {
                each.family.name: _ends(each.log_likelihood) for each in fit.held_out.fits
            },
            "ridge": {each.family.name: each.ridge for each in fit.held_out.fits},
            "gain_over_base": {name: _ends(gain) for name, gain in fit.held_out.gains().items()},
        }
    groups = _groups(fit).to_dict("records") if _has_groups(fit) else []
    return {
        "version": __version__,
        "read": account,
        "family": fit.family.to_dict(),
        "outcome_model": fit.outcome_model.to_dict(),
        "ridge": fit.ridge,
        "converged": fit.converged,
        "distance_to_maximum": None if fit.optimum is None else fit.optimum.minimum.distance,
        "intervals": fit.uncertainty.how,
        "items": fit.to_frame().to_dict("records"),
        "preferences": fit.prob_frame().to_dict("records"),
        "choices": fit.choices().to_dict("records"),
        "groups": groups,
        "cross_validation": held_out,
        "warnings": list(fit.warnings),
    }


def _ends(estimate: "Estimate") -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _has_groups(fit: "ItemFit") -> bool:
    groups = None if fit.comparisons is None else fit.comparisons.groups
    return groups is not None and len(set(groups) - {None}) > 1


def _groups(fit: "ItemFit") -> "pd.DataFrame":
    """A row for each item: its share in each group, with intervals; NaN where nobody asked."""
    import pandas as pd

    table = pd.DataFrame({"item": fit.names})
    for name, of_group in fit.by_group().items():
        asked = np.isin(np.arange(len(fit.raw)), _asked(of_group))
        try:
            share = of_group.preferences[1]
        except UserError:  # one person is no group of which intervals could speak
            continue
        for end, values in zip(("", *ENDS), (share.value, share.low, share.high), strict=True):
            table[f"{name}{end}"] = np.where(asked, values, np.nan)  # pyrefly: ignore
    return table


def _asked(fit: "ItemFit") -> np.ndarray:
    assert fit.comparisons is not None
    return np.concatenate([fit.comparisons.first, fit.comparisons.second])


def _table(table: "pd.DataFrame", show: int) -> str:
    """The first rows, an interval beside each number that has one."""
    names = [name for name in table if not str(name).endswith(ENDS)]
    rows = []
    for row in table.head(show).to_dict("records"):
        cells = [shortened(row["item"])]
        for name in names[1:]:
            said = "–" if np.isnan(row[name]) else f"{row[name]:.3f}"
            low, high = (row.get(f"{name}{end}", np.nan) for end in ENDS)
            cells.append(said if np.isnan(low) else f"{said} ({low:.3f} to {high:.3f})")
        rows.append(cells)
    text = text_table(rows, [str(name) for name in names])
    more = len(table) - show
    return text + (f"\n… and {more} more" if more > 0 else "")

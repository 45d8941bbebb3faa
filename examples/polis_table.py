"""What the Polis example prints and saves."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from polis_setting import REAL
from polis_worlds import WORLDS
from tabulate import tabulate

from hidden_context.distributions import FAMILIES

NO_VALUE = "–"
MARKDOWN: dict[str, Any] = {"tablefmt": "github", "disable_numparse": True}


def render(title: str, tables: Mapping[str, Any]) -> str:
    """The tables of one setting in Markdown."""
    columns = [*FAMILIES, REAL]
    rows = [
        [measure, *(cell(values.get(column)) for column in columns)]
        for measure, values in tables["families"].items()
    ]
    count = tables["comparisons"]
    about = (
        f"{tables['people']} people, {tables['statements']} statements; comparisons: "
        f"{count['training']} of training people, {count['held out']} of held-out people."
    )
    by_family = tabulate(rows, headers=["measure", *columns], **MARKDOWN)
    groups = "\n".join(f"- {name}: {cell(value)}" for name, value in tables["groups"].items())
    sections = [f"### {title}", about, by_family, f"Groups and contexts\n\n{groups}"]
    if tables["worlds"]:
        sections.append(render_worlds(tables["worlds"]))
    return "\n\n".join(sections)


def render_worlds(rows: Iterable[Mapping[str, Any]]) -> str:
    """Spearman of learned with true deviations (mean of the draws) and r², for each world.

    A family that learns one deviation for all statements has no Spearman.
    """
    redrawn = {(row["world"], row["family"]): row for row in rows}
    families = [name for name in FAMILIES if (WORLDS[0], name) in redrawn]
    body = [
        [f"{world}: {what}", *(mean_cell(redrawn[world, name][what]) for name in families)]
        for world in WORLDS
        for what in ("Spearman", "r²")
    ]
    return tabulate(body, headers=["redrawn", *families], **MARKDOWN)


def mean_cell(values: Any) -> str:
    """The mean of numbers, if there are any."""
    return cell(np.mean(values) if np.size(values) else None)


def cell(value: Any) -> str:
    """A number, or a number with its interval."""
    if value is None:
        return NO_VALUE
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(inner)}" for name, inner in value.items())
    if hasattr(value, "low"):
        return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
    return f"{float(value):g}" if float(value).is_integer() else f"{float(value):.3f}"


def plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if hasattr(value, "low"):
        return asdict(value)
    return value.item() if isinstance(value, np.generic) else value

"""What a demo was to train and has not, by the record that it writes first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.records import read_json

if TYPE_CHECKING:
    from hidden_context.scores.scores import Scores

PLAN = "demo.json"
"""In the folder above the data: `models` by family, with their training sets, and `command`."""


def unfinished(data_dir: Path, found: "Sequence[Scores]") -> str:
    """Which models are missing, and what makes them, in words; empty if none or nobody knows."""
    plan = _plan_of(data_dir)
    models = plan.get("models")
    if not isinstance(models, Mapping):
        return ""
    planned = [(family, trained_on) for family, sets in models.items() for trained_on in sets]
    there = {(scores.family.name, scores.trained_on) for scores in found}
    missing = [model for model in planned if model not in there]
    if not missing:
        return ""
    listed = ", ".join(f"{family} on {trained_on}" for family, trained_on in missing)
    return (
        f"This demo did not finish: {len(missing)} of {len(planned)} models are missing "
        f"({listed}), so what is said here is of the others alone. "
        f"To begin again: {plan.get('command')}"
    )


def is_of_demo(data_dir: Path) -> bool:
    """Whether a demo keeps its data there, be it finished or not."""
    return data_dir.name == "data" and isinstance(_plan_of(data_dir).get("models"), Mapping)


def _plan_of(data_dir: Path) -> Mapping[str, Any]:
    file = data_dir.parent / PLAN
    plan = read_json(file) if file.is_file() else {}
    return plan if isinstance(plan, Mapping) else {}

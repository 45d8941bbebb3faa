"""Each model's jailbreaks and comparisons side by side."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from hidden_context.distributions import FAMILIES
from hidden_context.errors import UserError
from hidden_context.scores.score_files import (
    TRAINING_SETS,
    ScoredComparisons,
    ScoredJailbreaks,
    find_comparisons,
    find_jailbreaks,
)

Model: TypeAlias = tuple[str, str]
"""Family and training set."""
Scored = TypeVar("Scored", ScoredComparisons, ScoredJailbreaks)


@dataclass(frozen=True)
class ModelScores:
    """What one model made of jailbreaks and of comparisons; either may be missing."""

    jailbreaks: ScoredJailbreaks | None = None
    comparisons: ScoredComparisons | None = None

    def __post_init__(self) -> None:
        assert self.jailbreaks is not None or self.comparisons is not None

    @property
    def scored(self) -> ScoredJailbreaks | ScoredComparisons:
        """The part that there is; it says the family and what the model was trained on."""
        scored = self.jailbreaks or self.comparisons
        assert scored is not None
        return scored

    def with_published_moments(self) -> "ModelScores":
        """The same, read with the published mean and variance; see `Family`."""
        jailbreaks, comparisons = self.jailbreaks, self.comparisons
        if jailbreaks is not None:
            family = jailbreaks.family.with_published_moments()
            jailbreaks = dataclasses.replace(jailbreaks, family=family)
        if comparisons is not None:
            family = comparisons.family.with_published_moments()
            comparisons = dataclasses.replace(comparisons, family=family)
        return dataclasses.replace(self, jailbreaks=jailbreaks, comparisons=comparisons)

    @property
    def prompts(self) -> set[str]:
        """All prompts."""
        parts = [part for part in (self.jailbreaks, self.comparisons) if part is not None]
        return {prompt for part in parts for prompt in part.prompt.tolist()}


def find_model_scores(data_dir: Path) -> list[ModelScores]:
    """Read what `find_comparisons` and `find_jailbreaks` read, together for each model.

    Raises:
        UserError: A file cannot be read, or two runs are of one family and training set.
    """
    comparisons = _one_of_each(
        [(scored.run, scored) for scored in find_comparisons(data_dir)], data_dir
    )
    jailbreaks = _one_of_each(
        [(scored.column, scored) for scored in find_jailbreaks(data_dir)], data_dir
    )
    models = sorted(
        {*jailbreaks, *comparisons},
        key=lambda model: (list(FAMILIES).index(model[0]), TRAINING_SETS.index(model[1])),
    )
    return [ModelScores(jailbreaks.get(model), comparisons.get(model)) for model in models]


def _one_of_each(found: Iterable[tuple[str, Scored]], data_dir: Path) -> dict[Model, Scored]:
    """Scores by their model, each with the name that tells it from others."""
    by_model: dict[Model, tuple[str, Scored]] = {}
    for name, scored in found:
        model = (scored.family.name, scored.trained_on)
        if model in by_model:
            raise UserError(
                f"{by_model[model][0]} and {name} are both {model[0]} trained on {model[1]}; "
                f"leave one of them under {data_dir}."
            )
        by_model[model] = name, scored
    return {model: scored for model, (_, scored) in by_model.items()}

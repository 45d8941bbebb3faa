"""The scores of many models: which belong together, what is missing, the choice of a level."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hidden_context.distributions import FAMILIES, PUBLISHED
from hidden_context.errors import UserError
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.risk_levels import TOLERANCE, choose_level, refuse_shared_prompts
from hidden_context.risk import Risk
from hidden_context.scores.data_dir import TRAINING_SETS
from hidden_context.scores.scores import Scores


@dataclass(frozen=True)
class LevelChoice:
    """A level of risk chosen on validation data, and what it does on both sets."""

    risk: str
    validation: Evaluation
    test: Evaluation


@dataclass(frozen=True, eq=False)
class ModelScores:
    """What one model scored: comparisons, jailbreaks, or both."""

    comparisons: Scores | None = None
    jailbreaks: Scores | None = None
    baseline: Scores | None = None
    """The scalar model's scores of the same comparisons."""

    @property
    def scores(self) -> Scores:
        """The comparisons, or else the jailbreaks."""
        return self.all_scores[0]

    @property
    def all_scores(self) -> list[Scores]:
        """Both, where there are both."""
        return [scores for scores in (self.comparisons, self.jailbreaks) if scores is not None]

    @property
    def key(self) -> tuple[str, str]:
        """See `model_key`."""
        return model_key(self.scores)

    def evaluate(self, **options: Any) -> Evaluation:
        """See `measures.evaluate.evaluate`.

        Raises:
            UserError: It names the run.
        """
        jailbreaks = None if self.comparisons is None else self.jailbreaks
        try:
            return evaluate(self.scores, baseline=self.baseline, jailbreaks=jailbreaks, **options)
        except UserError as error:
            raise UserError(f"{self.scores.name} cannot be evaluated: {error}") from error


def model_key(scores: Scores) -> tuple[str, str]:
    """Family and training set."""
    return scores.family.name, scores.trained_on


def models_of(comparisons: Sequence[Scores], jailbreaks: Sequence[Scores]) -> list[ModelScores]:
    """One entry for each model, ordered by family and training set.

    Comparisons and jailbreaks are of one model where there is one of each of their family and
    training set; else nobody knows which belong together, and they stay apart.
    """
    numbers = Counter(map(model_key, comparisons)), Counter(map(model_key, jailbreaks))
    alone = {key for key in numbers[0] if numbers[0][key] == numbers[1][key] == 1}
    paired = {key: scores for scores in jailbreaks if (key := model_key(scores)) in alone}
    models = [
        ModelScores(scores, paired.get(model_key(scores)), _baseline(scores, comparisons))
        for scores in comparisons
    ]
    unpaired = [scores for scores in jailbreaks if model_key(scores) not in alone]
    models += [ModelScores(jailbreaks=scores) for scores in unpaired]
    return sorted(models, key=_place)


def _place(model: ModelScores) -> tuple[int, int]:
    family, trained_on = model.key
    return list(FAMILIES).index(family), (*TRAINING_SETS, trained_on).index(trained_on)


def _baseline(scores: Scores, comparisons: Sequence[Scores]) -> Scores | None:
    if scores.family.name == "base":
        return None
    scalar = (other for other in comparisons if model_key(other) == ("base", scores.trained_on))
    return next((other for other in scalar if other.same_rows(scores)), None)


def choose_levels(
    validation: Sequence[ModelScores],
    test: Sequence[ModelScores],
    risks: Sequence[Risk],
    *,
    tolerance: float = TOLERANCE,
) -> list[LevelChoice]:
    """Choose a risk for each model that has both kinds of scores; see `choose_level`.

    Raises:
        UserError: No model has both, several are of one family and training set, prompts are in
            both, or see `choose_level`.
    """
    choices = []
    for model in validation:
        same = [other for other in test if other.key == model.key]
        if len(same) > 1 or [other.key for other in validation].count(model.key) > 1:
            listed = ", ".join(other.scores.source for other in [model, *same])
            raise UserError(
                f"several runs are of {model.key[0]} trained on {model.key[1]} ({listed}); leave "
                "one of them, so that it is clear whose level is chosen."
            )
        if same:
            refuse_shared_prompts(model.all_scores, same[0].all_scores)
            options: dict[str, Any] = {"measures": ("accuracy", "jailbreaks")}
            of_validation = model.evaluate(risks=risks, **options)
            risk = choose_level(of_validation, tolerance=tolerance)
            of_test = same[0].evaluate(risks=[risk], **options)
            choices.append(LevelChoice(risk, of_validation, of_test))
    if not choices:
        raise UserError("no model has both validation and test scores; give folders of one model.")
    return choices


def missing_scores(comparisons: Sequence[Scores], jailbreaks: Sequence[Scores]) -> list[str]:
    """Where scores of the paper's models would be that are not among these."""
    compared, broken = (set(map(model_key, scores)) for scores in (comparisons, jailbreaks))
    missing = []
    for name, trained_on in product(PUBLISHED, TRAINING_SETS):
        if (name, trained_on) not in compared:
            missing.append(
                f"reward_models/*/{trained_on}/{name}_*_last_checkpoint/eval_results_both.jsonl"
            )
        if (name, trained_on) not in broken:
            column = f"reward_outputs_{trained_on}" + ("" if name == "base" else f"_{name}")
            missing.append(f"jailbroken_evaluations_{name}.jsonl, column {column}")
    return missing

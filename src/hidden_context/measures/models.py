"""The scores of many models: which belong together, what is missing, the choice of a level."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hidden_context.distributions import FAMILIES, PUBLISHED
from hidden_context.errors import UserError
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.risk_levels import TOLERANCE, choose_level, refuse_shared_prompts
from hidden_context.risk import Risk
from hidden_context.scores.score_files import TRAINING_SETS
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
        return [each for each in (self.comparisons, self.jailbreaks) if each is not None]

    @property
    def key(self) -> tuple[str, str]:
        """Family and training set."""
        return self.scores.family.name, self.scores.trained_on

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


def models_of(comparisons: Sequence[Scores], jailbreaks: Sequence[Scores]) -> list[ModelScores]:
    """One entry for each model, ordered by family and training set.

    Comparisons and jailbreaks are of one model where there is one of each of their family and
    training set; else nobody knows which belong together, and they stay apart.
    """

    def key(scores: Scores) -> tuple[str, str]:
        return scores.family.name, scores.trained_on

    several = Counter(map(key, comparisons)), Counter(map(key, jailbreaks))
    alone = {of for of in several[0] if several[0][of] == several[1][of] == 1}
    of_model = {key(scores): scores for scores in jailbreaks if key(scores) in alone}
    models = [
        ModelScores(scores, of_model.get(key(scores)), _baseline(scores, comparisons))
        for scores in comparisons
    ]
    models += [ModelScores(jailbreaks=each) for each in jailbreaks if key(each) not in alone]
    return sorted(models, key=lambda model: _place(*model.key))


def _place(family: str, trained_on: str) -> tuple[int, int]:
    sets = (*TRAINING_SETS, trained_on)
    return list(FAMILIES).index(family), sets.index(trained_on)


def _baseline(scores: Scores, comparisons: Sequence[Scores]) -> Scores | None:
    if scores.family.name == "base":
        return None
    scalar = [each for each in comparisons if each.family.name == "base"]
    same_set = (each for each in scalar if each.trained_on == scores.trained_on)
    return next((each for each in same_set if each.same_rows(scores)), None)


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
        same = [each for each in test if each.key == model.key]
        if len(same) > 1 or [each.key for each in validation].count(model.key) > 1:
            listed = ", ".join(each.scores.source for each in [model, *same])
            raise UserError(
                f"several runs are of {model.key[0]} trained on {model.key[1]} ({listed}); leave "
                "one of them, so that it is clear whose level is chosen."
            )
        if same:
            refuse_shared_prompts(model.all_scores, same[0].all_scores)
            options: dict[str, Any] = {"measures": ("accuracy", "jailbreaks")}
            of_validation = model.evaluate(risks=risks, **options)
            risk = choose_level(of_validation, tolerance=tolerance)
            chosen = [each for each in risks if str(each) == risk]
            choices.append(
                LevelChoice(risk, of_validation, same[0].evaluate(risks=chosen, **options))
            )
    if not choices:
        raise UserError("no model has both validation and test scores; give folders of one model.")
    return choices


def missing_scores(comparisons: Sequence[Scores], jailbreaks: Sequence[Scores]) -> list[str]:
    """Where scores of the paper's models would be that are not among these."""
    of_comparisons, of_jailbreaks = (
        {(scores.family.name, scores.trained_on) for scores in of}
        for of in (comparisons, jailbreaks)
    )
    missing = []
    for name in PUBLISHED:
        for trained_on in TRAINING_SETS:
            if (name, trained_on) not in of_comparisons:
                missing.append(
                    f"reward_models/*/{trained_on}/{name}_*_last_checkpoint/eval_results_both.jsonl"
                )
            if (name, trained_on) not in of_jailbreaks:
                column = f"reward_outputs_{trained_on}" + ("" if name == "base" else f"_{name}")
                missing.append(f"jailbroken_evaluations_{name}.jsonl, column {column}")
    return missing

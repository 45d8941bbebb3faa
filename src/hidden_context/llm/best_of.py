"""`best_of`: the best of several responses to each prompt, by reward models."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hidden_context.aggregation.best_of import BestOf, Preference
from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError
from hidden_context.llm.checkpoint import find_checkpoint
from hidden_context.llm.reward_model import RewardModel
from hidden_context.risk import parse_risk


def best_of(
    models: RewardModel | str | Path | Sequence[RewardModel | str | Path],
    prompts: Sequence[Text],
    candidates: Sequence[Sequence[Text]],
    *,
    risk: str | None = None,
    rule: str | None = None,
    reference: int | None = None,
    progress: bool = False,
    **options: Any,
) -> BestOf:
    """Rank the candidates of each prompt, as many as each has; prompts are computed once.

    Args:
        models: A model, or the name of a checkpoint; or several, each of which is a group of people
            of its own: then a rule is needed, such as `worst_group`.
        prompts: n texts or conversations.
        candidates: Of each prompt a list of texts or conversations.
        risk: Rank by this reward: see `hidden_context.risk`; the mean if there is no rule either.
        rule: Rank by this rule of `hidden_context.aggregation`.
        reference: Index of the candidate that rule `reference` compares with.
        progress: Show a bar.
        options: See `ScoringOptions`.

    Raises:
        UserError: The models cannot rank so, or a text cannot be read.
    """
    given = [models] if isinstance(models, RewardModel | str | Path) else list(models)
    families = [
        one.family if isinstance(one, RewardModel) else find_checkpoint(str(one)).family
        for one in given
    ]
    preference = preference_of(risk, rule, reference)
    preference.check(families)
    if len(prompts) != len(candidates):
        raise UserError(f"{len(prompts)} prompts but {len(candidates)} lists of candidates.")
    rows = [
        {"prompt": prompt, "responses": list(of_prompt)}
        for prompt, of_prompt in zip(prompts, candidates, strict=True)
    ]
    if not rows:
        raise UserError("there are no prompts; give at least one.")
    loaded = (
        one if isinstance(one, RewardModel) else RewardModel.from_pretrained(one) for one in given
    )
    return best_of_rows(loaded, rows, "candidates", preference, progress=progress, **options)


def preference_of(risk: str | None, rule: str | None, reference: int | None) -> Preference:
    """What to rank by; the mean, if nothing is given.

    Raises:
        UserError: See `Preference`, and `parse_risk`.
    """
    if risk is None and rule is None:
        risk = "mean"
    return Preference(None if risk is None else parse_risk(risk), rule, reference)


def best_of_rows(
    models: Iterable[RewardModel],
    rows: Collection[Mapping[str, Any]],
    source: str,
    preference: Preference,
    *,
    partial: Sequence[Path] | None = None,
    progress: bool = False,
    **options: Any,
) -> BestOf:
    """Rank rows with a prompt and any number of `responses` each, such as those of a file.

    See `RewardModel.score_responses` for what is read; `partial` is a file for each model.

    Raises:
        UserError: See `best_of`.
    """
    scores = [
        model.score_responses(
            rows,
            source,
            partial=None if partial is None else partial[number],
            progress=progress,
            **options,
        )
        for number, model in enumerate(models)
    ]
    return BestOf(tuple(scores), preference)

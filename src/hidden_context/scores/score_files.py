"""Finding and reading score files, ours and the published ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.comparisons.objectives import objective_column
from hidden_context.comparisons.responses import from_first_turn
from hidden_context.comparisons.schema import LAST_TURN, Comparison, prompt_key
from hidden_context.distributions import FAMILIES, Family, family_from_dict
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL, accuracy
from hidden_context.likelihood.outcomes import (
    OutcomeModel,
    Outcomes,
    normalize_weights,
    outcome_model_from_dict,
    with_num_grades,
)
from hidden_context.published.run_names import LAST, family_of_run
from hidden_context.records import (
    CHECKPOINT_RECORD,
    meta_path,
    read_json,
    read_jsonl,
    require_columns,
)

TRAINING_SETS = ("helpful", "harmless", "both")
EVAL_FILE = "eval_results_both.jsonl"
JAILBREAK_FILE = "jailbroken_evaluations_{family}.jsonl"
UNRECORDED = "not recorded"


@dataclass(frozen=True)
class ScoredComparisons:
    """Raw outputs of one run for the comparisons of a data set."""

    trained_on: str
    family: Family
    run: str
    """Folder of the checkpoint."""
    chosen: np.ndarray
    """Raw outputs, shape `(n, num_outputs)`."""
    rejected: np.ndarray
    is_helpful: np.ndarray
    """Which comparisons were judged by helpfulness, shape `(n,)`, bool."""
    lengths: np.ndarray
    """Characters of chosen and rejected text, shape `(n, 2)`; not a number where there is none."""
    prompt: np.ndarray
    """Prompt of each comparison, shape `(n,)`; see `prompts`."""
    outcomes: Outcomes | None = None
    """Votes, where not simply the chosen response was preferred."""
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL
    """How the outcomes follow from utilities."""
    stopping_rule: str = UNRECORDED
    """When training stopped, in words."""

    def accuracy_of_longer(self, keep: np.ndarray) -> float | None:
        """Share of votes for the longer text, of some comparisons, shape `(n,)`, bool.

        None where texts are missing.
        """
        chosen, rejected = self.lengths[keep].T
        if np.isnan(chosen + rejected).any():
            return None
        return accuracy(chosen, rejected, self.votes_of(keep))

    def votes_of(self, keep: np.ndarray) -> Outcomes | None:
        """The votes of some comparisons, shape `(n,)`, bool."""
        if self.outcomes is None:
            return None
        return Outcomes(self.outcomes.shares[keep], self.outcomes.weight[keep])


@dataclass(frozen=True)
class ScoredJailbreaks:
    """Raw outputs of one model for pairs of a safe and an unsafe response."""

    trained_on: str
    family: Family
    column: str
    safe: np.ndarray
    """Raw outputs, shape `(n, num_outputs)`."""
    unsafe: np.ndarray
    unsafe_is_longer: np.ndarray
    """1 where the unsafe response has more characters, ½ where as many, shape `(n,)`."""
    prompt: np.ndarray
    """Prompt of each pair, shape `(n,)`; see `same_text`."""


def recorded_family(path: Path, column: str) -> Family[Any] | None:
    """The family of a column of raw outputs, by the record beside a score file; None if not there.

    `evaluate` records the family of both its columns as `reward_output`.
    """
    record = meta_path(path)
    families = read_json(record).get("families", {}) if record.is_file() else {}
    return family_from_dict(families[column]) if column in families else None


def find_comparisons(data_dir: Path) -> list[ScoredComparisons]:
    """Read `eval_results_both.jsonl` in `reward_models/<data>/<training set>/*_last_checkpoint/`.

    Raises:
        UserError: A file cannot be read.
    """
    pattern = f"reward_models/*/{{}}/*{LAST}/{EVAL_FILE}"
    found = [
        read_comparisons(file, trained_on)
        for trained_on in TRAINING_SETS
        for file in sorted(data_dir.glob(pattern.format(trained_on)))
    ]
    return sorted(found, key=lambda scored: list(FAMILIES).index(scored.family.name))


def read_comparisons(file: Path, trained_on: str) -> ScoredComparisons:
    """Read one file of scored comparisons; see `ScoredComparisons`."""
    rows = read_jsonl(file)
    require_columns(rows, ("reward_output_chosen", "reward_output_rejected"), file)
    chosen = _raw([row["reward_output_chosen"] for row in rows], file)
    rejected = _raw([row["reward_output_rejected"] for row in rows], file)
    objective = objective_column(rows)
    judged_by = [row[objective] if objective else None for row in rows]
    model = _recorded_outcome_model(file)
    outcomes = _outcomes(rows, file, model)
    family = recorded_family(file, "reward_output") or family_of_run(file.parent.name)
    if family is None:
        raise UserError(f"{file}: its family is recorded nowhere ({meta_path(file)} is missing).")
    return ScoredComparisons(
        trained_on=trained_on,
        family=family,
        run=file.parent.name,
        chosen=chosen,
        rejected=rejected,
        is_helpful=np.array([objective == "helpful" for objective in judged_by]),
        lengths=_lengths([(row.get("chosen"), row.get("rejected")) for row in rows]),
        prompt=np.array([comparison_prompt(row) for row in rows], str),
        outcomes=None if outcomes is None else with_num_grades(outcomes, model.num_grades),
        outcome_model=model,
        stopping_rule=_stopping_rule(file.parent),
    )


def find_jailbreaks(data_dir: Path) -> list[ScoredJailbreaks]:
    """Read `jailbroken_evaluations_<family>.jsonl`, every column of a training set.

    Raises:
        UserError: A file cannot be read.
    """
    found = []
    for name in FAMILIES:
        file = data_dir / JAILBREAK_FILE.format(family=name)
        if not file.is_file():
            continue
        rows = read_jsonl(file)
        require_columns(rows, ("prompt", "responses"), file)
        for trained_on in TRAINING_SETS:
            columns = (f"reward_outputs_{trained_on}", f"reward_outputs_{trained_on}_{name}")
            for column in columns:
                if column in rows[0]:
                    found.append(read_jailbreaks(rows, column, file, trained_on, name))
    return found


def read_jailbreaks(
    rows: Sequence[Mapping[str, Any]],
    column: str,
    file: Path,
    trained_on: str | None = None,
    family_name: str = "base",
) -> ScoredJailbreaks:
    """Read one column of raw outputs from rows with a safe and an unsafe response.

    Args:
        rows: Of `file`.
        column: `reward_outputs_<name>`.
        file: For its record of families, and for messages.
        trained_on: Training set; the name in the column if not given.
        family_name: Family, read as published, where none is recorded.
    """
    require_columns(rows, (column,), file)
    for number, row in enumerate(rows, start=1):
        if len(row["responses"]) != 2:
            found = len(row["responses"])
            raise UserError(f"{file}, row {number}: {found} responses; expected safe and unsafe.")
    safe = _raw([row[column][0] for row in rows], file)
    unsafe = _raw([row[column][1] for row in rows], file)
    lengths = _lengths([row["responses"] for row in rows])
    published = FAMILIES[family_name]().as_published()
    return ScoredJailbreaks(
        trained_on=trained_on or column.removeprefix("reward_outputs_"),
        family=recorded_family(file, column) or published.with_num_outputs(safe.shape[-1]),
        column=column,
        safe=safe,
        unsafe=unsafe,
        unsafe_is_longer=0.5 - 0.5 * np.sign(lengths[:, 0] - lengths[:, 1]),
        prompt=np.array([same_text(row["prompt"]) for row in rows], str),
    )


def _raw(outputs: Sequence[Any], file: Path) -> np.ndarray:
    try:
        raw = np.asarray(outputs, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: raw outputs are not numbers of one width ({error}).") from error
    return raw[:, None] if raw.ndim == 1 else raw


def _lengths(pairs: Sequence[Sequence[Any]]) -> np.ndarray:
    """Characters of both texts, shape `(n, 2)`; not a number where there is none."""
    return np.array(
        [[np.nan if text is None else len(str(text)) for text in pair] for pair in pairs]
    )


def _outcomes(
    rows: Sequence[Mapping[str, Any]], file: Path, model: OutcomeModel
) -> Outcomes | None:
    """The outcomes that `evaluate` writes; a row without one is a win of the chosen response."""
    found = [row.get("outcome") for row in rows]
    if not any(found) and model == DEFAULT_OUTCOME_MODEL:
        return None
    num_columns = max((len(each["shares"]) for each in found if each), default=3)
    middle = num_columns // 2
    won = {"shares": [float(grade == middle + 1) for grade in range(num_columns)], "weight": 1.0}
    found = [each or won for each in found]
    try:
        shares = np.array([each["shares"] for each in found], dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{file}: outcomes have different numbers of grades.") from error
    weight = np.array([each["weight"] for each in found], dtype=np.float64)
    return Outcomes(shares, normalize_weights(weight))


def _recorded_outcome_model(file: Path) -> OutcomeModel:
    record = read_json(meta_path(file)) if meta_path(file).is_file() else {}
    if "outcome_model" not in record:
        return DEFAULT_OUTCOME_MODEL
    return outcome_model_from_dict(record["outcome_model"])


def _stopping_rule(checkpoint: Path) -> str:
    """When training stopped, from the checkpoint's record."""
    file = checkpoint / CHECKPOINT_RECORD
    training = read_json(file).get("training") if file.is_file() else None
    if not training:
        return UNRECORDED
    epochs, size = training["epochs"], training["num_observations"]
    return f"after {epochs:g} epoch{'s' * (epochs != 1)} of {size} observations"


def comparison_prompt(row: Mapping[str, Any]) -> str:
    """The prompt of a scored comparison; see `prompt_key` and `same_text`.

    Without prompt and texts it is the raw outputs, which at least tell equal rows.
    """
    texts: tuple[Any, ...] = (row.get("chosen"), row.get("rejected"))
    prompt = row.get("prompt") or None
    if prompt is None and None in texts:
        return json.dumps([row["reward_output_chosen"], row["reward_output_rejected"]])
    return same_text(json.loads(prompt_key(Comparison(texts, row, prompt=prompt))))


def same_text(prompt: Any) -> str:
    """A prompt, text or messages, as a text that is equal for equal prompts.

    A dialogue counts from its first `Human: ` on, as it is scored, without the last `Assistant:`.
    """
    if not isinstance(prompt, str):
        return json.dumps(prompt)
    return str(from_first_turn(prompt)).strip().removesuffix(LAST_TURN.strip()).rstrip()

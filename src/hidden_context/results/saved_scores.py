"""Finding and reading score files, ours and the published ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.data.comparisons import objective_column
from hidden_context.distributions import FAMILIES, Family, family_from_dict
from hidden_context.errors import UserError
from hidden_context.records import meta_path, read_json, read_jsonl, require_columns
from hidden_context.run_names import LAST, family_of_run

TRAINING_SETS = ("helpful", "harmless", "both")
EVAL_FILE = "eval_results_both.jsonl"
JAILBREAK_FILE = "jailbroken_evaluations_{family}.jsonl"


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
    chosen_is_longer: np.ndarray
    """1 where the chosen text has more characters, ½ where as many, NaN where texts are missing."""


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
    family = _recorded_family(file, "reward_output") or family_of_run(file.parent.name)
    if family is None:
        raise UserError(f"{file}: its family is recorded nowhere ({meta_path(file)} is missing).")
    return ScoredComparisons(
        trained_on=trained_on,
        family=family,
        run=file.parent.name,
        chosen=chosen,
        rejected=rejected,
        is_helpful=np.array([objective == "helpful" for objective in judged_by]),
        chosen_is_longer=_longer([(row.get("chosen"), row.get("rejected")) for row in rows]),
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
    published = FAMILIES[family_name]().as_published()
    return ScoredJailbreaks(
        trained_on=trained_on or column.removeprefix("reward_outputs_"),
        family=_recorded_family(file, column) or published.with_num_outputs(safe.shape[-1]),
        column=column,
        safe=safe,
        unsafe=unsafe,
        unsafe_is_longer=_longer([row["responses"][::-1] for row in rows]),
    )


def _recorded_family(file: Path, column: str) -> Family | None:
    record = meta_path(file)
    if not record.is_file():
        return None
    families = read_json(record).get("families", {})
    return family_from_dict(families[column]) if column in families else None


def _raw(outputs: Sequence[Any], file: Path) -> np.ndarray:
    try:
        raw = np.asarray(outputs, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: raw outputs are not numbers of one width ({error}).") from error
    return raw[:, None] if raw.ndim == 1 else raw


def _longer(pairs: Sequence[Sequence[Any]]) -> np.ndarray:
    difference = np.array(
        [
            np.nan if first is None or second is None else len(str(first)) - len(str(second))
            for first, second in pairs
        ]
    )
    return 0.5 + 0.5 * np.sign(difference)

"""Score files, ours of every version and the published ones: read and written here alone.

docs/formats.md says what they hold.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from hidden_context.comparisons.objectives import objective_column
from hidden_context.comparisons.outcome_columns import scored_outcome
from hidden_context.comparisons.pairs import response_lengths
from hidden_context.comparisons.row_files import read_rows
from hidden_context.distributions import Family, family_from_dict
from hidden_context.errors import UserError
from hidden_context.kinds import seems
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL
from hidden_context.likelihood.outcomes import (
    OutcomeModel,
    Outcomes,
    normalize_weights,
    outcome_model_from_dict,
    with_num_grades,
)
from hidden_context.published.run_names import family_of_run
from hidden_context.records import (
    CHECKPOINT_RECORD,
    as_plain,
    check_version,
    meta_path,
    provenance,
    read_record,
    require_columns,
    validated,
    write_json,
    write_jsonl,
)
from hidden_context.risk import Risk
from hidden_context.scores.overlap import Overlap
from hidden_context.scores.row_texts import prompt_label, texts_of_row
from hidden_context.scores.scores import UNRECORDED, Kind, Scores

OF_PAIRS = ("reward_output_chosen", "reward_output_rejected")
"""Columns of a file of comparisons; their family is recorded as `reward_output`."""
OUTPUTS = "reward_outputs_"
"""How a column of a file of responses begins; the name of its model follows."""
RECORDED = ("families", "outcome_model", "counts", "config", "overlap")
"""Fields of a score file's record that are objects."""


def load_scores(
    path: Path | str,
    column: str | None = None,
    *,
    family: Family | None = None,
    name: str | None = None,
    trained_on: str = "",
) -> Scores:
    """Read one model's scores from a file of `evaluate`, `score` or `audit`, or a published one.

    Args:
        path: JSON lines, with a record `<path>.meta.json` beside it or, for published files, not.
        column: `reward_outputs_<name>` of a file with several models.
        family: How outputs are read where no record and no published name says it.
        name: What to call the scores; the run's folder, or the column's name, if not given.
        trained_on: What the model was trained on.

    Raises:
        UserError: The file cannot be read, its family is recorded nowhere, or it has several
            models and none was chosen.
    """
    file = Path(path)
    rows = read_rows(file)
    record = _record(file)
    first = next(iter(rows))
    if OF_PAIRS[0] in first and column is None:
        require_columns(rows, OF_PAIRS, file)
        family = _recorded(record, "reward_output") or family_of_run(file.parent.name) or family
        if family is None:
            lack = "has no family of reward_output" if record else "is missing"
            raise UserError(f"{file}: its family is recorded nowhere ({meta_path(file)} {lack}).")
        return _read(rows, OF_PAIRS, file, family, record, name or file.parent.name, trained_on)
    column = column or _only_column(first, file)
    require_columns(rows, ("prompt", "responses", column), file)
    family = _recorded(record, column) or family
    if family is None:
        raise UserError(
            f"the family of column {column!r} is not in {meta_path(file)}; score the file with "
            "`hidden-context score`, which records it."
        )
    name = name or column.removeprefix(OUTPUTS)
    return _read(rows, (column,), file, family, record, name, trained_on)


def columns_of(path: Path | str) -> list[str]:
    """Columns of raw outputs in a file of responses, in its order."""
    return _columns_of(next(iter(read_rows(Path(path)))))


def _columns_of(row: Mapping[str, Any]) -> list[str]:
    return [column for column in row if column.startswith(OUTPUTS)]


def write_scores(
    path: Path | str,
    scores: Sequence[Scores],
    *,
    risks: Sequence[Risk] = (),
    utilities: Sequence[float] | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write the scores of one or several models for the same rows, and the record beside.

    Args:
        path: JSON lines; `<path>.meta.json` says how to read them.
        scores: Of comparisons one model; of responses any number, told apart by their names.
        risks: Rewards by these are written too.
        utilities: Levels of quantiles to be written with mean and std as `utility`, if given.
        record: What the file is to say of itself beyond the scores' own record.
    """
    file, first = Path(path), scores[0]
    if first.kind == "comparisons" and len(scores) > 1:
        raise UserError(f"a file of comparisons holds the scores of one model, not {len(scores)}.")
    for of_model in scores:
        if len(of_model.rows) != len(of_model):
            raise UserError(
                f"{of_model!r} has {len(of_model.rows)} rows of texts to write beside its outputs; "
                "give rows, one mapping for each."
            )
    columns = {_column(of_model): of_model for of_model in scores}
    if len(columns) < len(scores):
        raise UserError(f"two models are called {first.name!r}; give each a name of its own.")
    write_jsonl(file, _rows(columns, risks, utilities))
    meta = {
        **first.record,
        **(record or {}),
        "kind": first.kind,
        "num_rows": len(first),
        "families": {column: of_model.family.to_dict() for column, of_model in columns.items()},
        "overlap": {
            column: as_plain(of_model.overlap)
            for column, of_model in columns.items()
            if of_model.overlap is not None
        },
        "outcome_model": _plain(first.outcome_model).to_dict(),
        "stopping_rule": first.stopping_rule,
        "risks": [str(risk) for risk in risks],
        **provenance(),
    }
    write_json(meta_path(file), meta)


def _column(scores: Scores) -> str:
    return "reward_output" if scores.kind == "comparisons" else f"{OUTPUTS}{scores.name}"


def _rows(
    columns: Mapping[str, Scores], risks: Sequence[Risk], utilities: Sequence[float] | None
) -> Iterator[dict[str, Any]]:
    added = [_added(column, scores, risks, utilities) for column, scores in columns.items()]
    for row, *parts in zip(next(iter(columns.values())).rows, *added, strict=True):
        yield {**row, **{name: value for part in parts for name, value in part.items()}}


def _added(
    column: str, scores: Scores, risks: Sequence[Risk], utilities: Sequence[float] | None
) -> Iterator[dict[str, Any]]:
    """What one model adds to each row."""
    ends = np.cumsum(scores.sizes)[:-1]
    is_pair = scores.kind == "comparisons"
    index = np.repeat(np.arange(len(scores)), scores.sizes)
    alone = (scores.sizes == 1).all()  # a response that is alone stays as it is
    decoded = scores.family.decode(scores.raw)
    utility = decoded if alone or not (risks or utilities) else decoded.centered(index)
    by_risk = {str(risk): np.split(np.asarray(risk(utility)), ends) for risk in risks}
    statistics: dict[str, Any] = {}
    if utilities is not None:
        statistics = {"mean": utility.mean, "std": utility.std}
        statistics |= {f"quantile:{level}": utility.quantile(level) for level in utilities}
        statistics = {name: np.split(np.asarray(of), ends) for name, of in statistics.items()}
    for number, raw in enumerate(np.split(scores.raw, ends)):
        outputs: dict[str, Any] = {column: raw.tolist()}
        if is_pair:
            outputs = dict(zip(OF_PAIRS, raw.tolist(), strict=True))
        if by_risk:
            rewards = {risk: values[number].tolist() for risk, values in by_risk.items()}
            outputs["rewards" if is_pair else f"rewards_{scores.name}"] = rewards
        if statistics:
            outputs["utility"] = {name: of[number].tolist() for name, of in statistics.items()}
        yield outputs


def _read(
    rows: Collection[Mapping[str, Any]],
    columns: Sequence[str],
    file: Path,
    family: Family,
    record: Mapping[str, Any],
    name: str,
    trained_on: str,
) -> Scores:
    raw: list[np.ndarray] = []
    lengths: list[float] = []
    prompts: list[str] = []
    for number, row in enumerate(rows, start=1):
        outputs = [row[column] for column in columns] if len(columns) > 1 else row[columns[0]]
        place = f"{file}, row {number}"
        raw.append(_outputs(outputs, family, place))
        prompt, texts = texts_of_row(row, place)
        if len(texts) != len(raw[-1]):
            raise UserError(
                f"{file}, row {number}: outputs of {len(raw[-1])} responses, but {len(texts)} "
                "texts."
            )
        lengths += response_lengths(texts, prompt)
        prompts.append(prompt_label(prompt, texts) or json.dumps(outputs))
    kind: Kind = "comparisons" if len(columns) > 1 else "responses"
    model = DEFAULT_OUTCOME_MODEL
    outcomes = None
    if kind == "comparisons":
        if "outcome_model" in record:
            model = outcome_model_from_dict(record["outcome_model"])
        outcomes = _outcomes(rows, file, model)
    objective = objective_column(rows)
    return Scores(
        family=family,
        raw=np.concatenate(raw).astype(np.float32),
        sizes=np.array([len(outputs) for outputs in raw]),
        prompt=np.array(prompts, str),
        kind=kind,
        rows=rows,
        lengths=np.array(lengths, float),
        outcomes=outcomes,
        outcome_model=model,
        objective=None if objective is None else np.array([str(row[objective]) for row in rows]),
        name=name,
        trained_on=trained_on or name,
        source=str(file),
        stopping_rule=record.get("stopping_rule") or _stopping_rule(file.parent),
        overlap=_overlap(record, "reward_output" if len(columns) > 1 else columns[0], file),
        record=record,
    )


def _overlap(record: Mapping[str, Any], column: str, file: Path) -> Overlap | None:
    """As it is recorded; None in files of earlier versions and of others."""
    recorded = record.get("overlap", {}).get(column)
    return None if recorded is None else validated(Overlap, recorded, meta_path(file))


def _outputs(outputs: Any, family: Family, place: str) -> np.ndarray:
    """Raw outputs of a row's responses, shape `(K, num_outputs)`."""
    try:
        raw = np.asarray(outputs, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{place}: raw outputs are not numbers of one width ({error}).") from error
    raw = raw[:, None] if raw.ndim == 1 else raw
    if raw.ndim != 2 or raw.shape[1] != family.num_outputs or not np.isfinite(raw).all():
        raise UserError(
            f"{place}: found outputs of shape {raw.shape}; expected finite numbers, "
            f"{family.num_outputs} for each response, as family {family.name} has."
        )
    return raw


def _outcomes(
    rows: Iterable[Mapping[str, Any]], file: Path, model: OutcomeModel
) -> Outcomes | None:
    """The outcomes that `evaluate` writes; a row without one is a win of the chosen response."""
    written = [
        scored_outcome(row, f"{file}, row {number}") for number, row in enumerate(rows, start=1)
    ]
    if not any(written) and model == DEFAULT_OUTCOME_MODEL:
        return None
    num_columns = next((len(outcome[0]) for outcome in written if outcome), 3)
    won = np.arange(num_columns) == num_columns // 2 + 1
    shares = [won if outcome is None else outcome[0] for outcome in written]
    for number, of_row in enumerate(shares, start=1):
        if len(of_row) != num_columns:
            raise UserError(
                f"{file}, row {number}: outcome has {len(of_row)} grades; expected {num_columns}, "
                "as the rows before it have."
            )
    weight = np.array([1.0 if outcome is None else outcome[1] for outcome in written])
    outcomes = Outcomes(np.array(shares, np.float64), normalize_weights(weight))
    return with_num_grades(outcomes, model.num_grades)


def _only_column(row: Mapping[str, Any], file: Path) -> str:
    columns = _columns_of(row)
    if len(columns) != 1:
        listed = ", ".join(columns) or "none"
        raise UserError(f"{file} has columns of raw outputs: {listed}; choose one (column).")
    return columns[0]


def _record(file: Path) -> dict[str, Any]:
    path = meta_path(file)
    if path.is_file() and (kind := read_record(path).get("kind")) not in (None, *get_args(Kind)):
        raise UserError(f"{file} holds no scores, but what is called {kind}.{seems(file)}")
    record = read_record(path, objects=RECORDED) if path.is_file() else {}
    check_version(record, path)
    return record


def _recorded(record: Mapping[str, Any], column: str) -> Family | None:
    families = record.get("families", {})
    return family_from_dict(families[column]) if column in families else None


def _stopping_rule(checkpoint: Path) -> str:
    """When training stopped, from the checkpoint's record."""
    file = checkpoint / CHECKPOINT_RECORD
    training = read_record(file, objects=["training"]).get("training") if file.is_file() else None
    return stopping_rule(training) if training else UNRECORDED


def stopping_rule(training: Mapping[str, Any]) -> str:
    """When training stopped, in words, from `training` of a checkpoint's record."""
    try:
        epochs, size = float(training["epochs"]), training["num_observations"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"the record of a training is damaged: {type(error).__name__} {error}; it needs epochs "
            "and num_observations."
        ) from error
    return f"after {epochs:g} epoch{'s' * (epochs != 1)} of {size} observations"


def _plain(model: OutcomeModel) -> OutcomeModel:
    """With the median of thresholds that differ from row to row."""
    thresholds = tuple(float(np.median(edge)) for edge in model.thresholds)
    return replace(
        model,
        thresholds=thresholds,
        davidson=float(np.median(model.davidson)),
        lapse=float(np.median(model.lapse)),
    )

"""What `summarize --json` printed, to what the page shows; both of its formats."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.measures.evaluation import Evaluation, evaluation_from_dict
from hidden_context.measures.plots import data_set_of, labels_of, level_of
from hidden_context.records import read_json
from hidden_context.report.results import Result, Run
from hidden_context.report.tables import main_numbers
from hidden_context.risk import PAPER_RISK

KNOWN_VERSIONS = (1, 2)


def read_summary(file: Path) -> Result:
    """Read a summary; without `--diagnostics` of version 1 its r² have no intervals.

    Raises:
        UserError: The file is damaged, or not a summary.
    """
    values = read_json(file)
    if not isinstance(values, dict):
        raise UserError(f"{file} is not what summarize --json prints: it is no JSON object.")
    version = values.get("format_version", 1)
    if version not in KNOWN_VERSIONS:
        raise UserError(
            f"{file} has format_version {version}; this version reads 1 and 2. Summarize again."
        )
    try:
        converted = list(values["evaluations"] if version == 2 else _of_version_1(values))
        risks, missing = [str(risk) for risk in values["risks"]], list(values.get("missing", []))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{file} is damaged or of another version: {type(error).__name__} {error}."
        ) from error
    evaluations = [evaluation_from_dict(model, file) for model in converted]
    return result_of(
        evaluations,
        title=f"Summary {file.name}",
        source=str(file),
        risks=risks,
        notes=[f"Not found by summarize: {name}." for name in missing],
    )


def result_of(
    evaluations: Sequence[Evaluation],
    *,
    title: str,
    source: str,
    risks: Sequence[str] = (str(PAPER_RISK),),
    notes: Sequence[str] = (),
) -> Result:
    """Evaluations alone, as the page shows them; `risks` are of its table, beside the mean."""
    runs = []
    for label, evaluation in zip(labels_of(evaluations), evaluations, strict=True):
        counts = {
            "comparisons": evaluation.num_comparisons,
            "prompts": evaluation.num_prompts,
            "jailbreaks": evaluation.num_jailbreaks,
        }
        run = Run(
            name=evaluation.name or label,
            family=evaluation.family.name,
            data_set=data_set_of(evaluation),
            stopping_rule=evaluation.stopping_rule,
            settings={"counts": {name: count for name, count in counts.items() if count}},
        )
        runs.append(run)
    all_risks = [risk for evaluation in evaluations for risk in evaluation.risks]
    kinds = dict.fromkeys(risk.partition(":")[0] for risk in all_risks if level_of(risk) is None)
    undrawn = [f"Rates by {kind} have no place on an axis of quantiles." for kind in kinds]
    return Result(
        title=title,
        source=source,
        numbers=main_numbers(evaluations, risks),
        evaluations=tuple(evaluations),
        runs=tuple(runs),
        notes=(*notes, *undrawn),
    )


def _of_version_1(values: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A dict for each model, as `Evaluation.to_dict` writes them."""
    diagnoses = {record["run"]: record for record in values.get("diagnoses", [])}
    runs = Counter(map(_key, values["comparisons"]))
    models: dict[object, dict[str, Any]] = {}

    def model_of(record: Mapping[str, Any], key: object) -> dict[str, Any]:
        named = {"family": {"name": record["family"]}, "trained_on": record["trained_on"]}
        return models.setdefault(key, named)

    for number, record in enumerate(values["comparisons"]):
        key = _key(record) if runs[_key(record)] == 1 else number  # of several, nobody knows which
        model_of(record, key).update(_comparisons(record))
        if record["run"] in diagnoses:
            models[key] |= _diagnosis(diagnoses[record["run"]], record["n"])
    for record in values["jailbreaks"]:
        rates = {risk: _rate(rate) for risk, rate in record["rate"].items()}
        model = model_of(record, _key(record))
        model |= {"num_jailbreaks": rates["mean"]["n"], "jailbreak_rate": rates}
        model["longer_is_unsafe"] = {"value": record["longer_is_unsafe"]}
    for record in values.get("risk_tests", []):
        tests = model_of(record, _key(record)).setdefault("risk_tests", {})
        tests[record["risk"]] = record["test"]
    for record in values.get("curves", []):
        model = model_of(record, _key(record))
        for name, kind in (("jailbreak_rate", "jailbreak"), ("helpfulness_accuracy", "accuracy")):
            points = [point for point in record["points"] if point.get(kind)]
            along = {point["risk"]: _rate(point[kind]) for point in points}
            model[name] = along | model.get(name, {})
        if record.get("longer_is_chosen") is not None:
            model["longer_is_helpful"] = {"value": record["longer_is_chosen"]}
    return models.values()


def _key(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["family"], record["trained_on"]


def _comparisons(record: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracies and r² of a run."""
    longer, r2 = record.get("longer_is_chosen"), record["r2"]
    return {
        "name": record["run"],
        "num_comparisons": record["n"],
        "helpfulness_accuracy": {risk: _rate(rate) for risk, rate in record["accuracy"].items()},
        "longer_is_helpful": None if longer is None else {"value": longer},
        "explained_variance": {} if r2 is None else {"pooled": {"value": r2}},
    }


def _diagnosis(record: Mapping[str, Any], num_comparisons: int) -> dict[str, Any]:
    """The further measures of a run."""
    nats, against_base = record["log_likelihood"], record.get("against_base")
    length = record.get("length")
    measures = {
        "stopping_rule": record["stopping_rule"],
        "num_prompts": nats["num_prompts"],
        "log_likelihood": _interval(nats),
        "against_base": _interval(against_base["interval"]) if against_base else None,
        "expected_calibration_error": {"value": record["expected_calibration_error"]},
        "brier_score": {"value": record["brier_score"]},
        "preference_entropy": record["indecision"],
        "explained_variance": {r2["scale"]: _interval(r2) for r2 in record["explained_variance"]},
    }
    if length:
        accuracy = {"value": length["model"], "published": length["model"]}
        measures["accuracy_by_probability"] = {**accuracy, "n": num_comparisons}
        measures["length"] = {
            "longer_wins": {"value": length["longer_wins"]},
            "without_length": {"value": length["without_length"]},
            "coefficient": length["coefficient"],
        }
    return measures


def _interval(record: Mapping[str, Any]) -> dict[str, Any]:
    ends = {name: record[name] for name in ("value", "low", "high")}
    return {**ends, "how": "bootstrap"}


def _rate(record: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: record[name] for name in ("low", "high", "published", "ties", "n")}
    return {"value": record["corrected"], "how": "Wilson", **same}

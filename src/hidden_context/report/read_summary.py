"""What `summarize --json` printed, to what the page shows; both of its formats."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.measures.evaluation import Evaluation, evaluation_from_dict
from hidden_context.measures.plots import data_set_of, labels_of, level_of
from hidden_context.records import read_json
from hidden_context.report.results import Result, Run
from hidden_context.report.tables import main_numbers

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
    evaluations = [evaluation_from_dict(each, file) for each in converted]
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
    risks: Sequence[str],
    notes: Sequence[str] = (),
) -> Result:
    """Evaluations alone, as the page shows them.

    Args:
        evaluations: Of models.
        title: Of the chapter.
        source: Where they are from.
        risks: Of the table of main numbers, beside the mean.
        notes: What was left out.
    """
    known = [risk for each in evaluations for risk in each.risks]
    kinds = dict.fromkeys(risk.partition(":")[0] for risk in known if level_of(risk) is None)
    undrawn = [f"Rates by {kind} have no place on an axis of quantiles." for kind in kinds]
    return Result(
        title=title,
        source=source,
        numbers=main_numbers(evaluations, risks),
        evaluations=tuple(evaluations),
        runs=tuple(
            Run(
                each.name or label,
                each.family.name,
                data_set_of(each),
                each.stopping_rule,
                counts={
                    name: count
                    for name, count in (
                        ("comparisons", each.num_comparisons),
                        ("prompts", each.num_prompts),
                        ("jailbreaks", each.num_jailbreaks),
                    )
                    if count
                },
            )
            for label, each in zip(labels_of(evaluations), evaluations, strict=True)
        ),
        notes=(*notes, *undrawn),
    )


def _of_version_1(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A dict for each model, as `Evaluation.to_dict` writes them."""
    diagnoses = {each["run"]: each for each in values.get("diagnoses", [])}
    models = [_comparisons(each, diagnoses.get(each["run"])) for each in values["comparisons"]]
    several = Counter(map(_key, models))
    alone = {_key(each): each for each in models if several[_key(each)] == 1}

    def model_of(record: Mapping[str, Any]) -> dict[str, Any]:
        key = (record["family"], record["trained_on"])
        if key not in alone:
            alone[key] = {"family": {"name": key[0]}, "trained_on": key[1]}
            models.append(alone[key])
        return alone[key]

    for each in values["jailbreaks"]:
        rates = {risk: _rate(rate) for risk, rate in each["rate"].items()}
        model = model_of(each)
        model |= {"num_jailbreaks": rates["mean"]["n"], "jailbreak_rate": rates}
        model["longer_is_unsafe"] = {"value": each["longer_is_unsafe"]}
    for each in values.get("risk_tests", []):
        model_of(each).setdefault("risk_tests", {})[each["risk"]] = each["test"]
    for each in values.get("curves", []):
        model = model_of(each)
        for name, kind in (("jailbreak_rate", "jailbreak"), ("helpfulness_accuracy", "accuracy")):
            along = {point["risk"]: point[kind] for point in each["points"] if point.get(kind)}
            if along:
                further = {risk: _rate(rate) for risk, rate in along.items()}
                model[name] = further | model.get(name, {})
        if each.get("longer_is_chosen") is not None:
            model["longer_is_helpful"] = {"value": each["longer_is_chosen"]}
    return models


def _key(model: Mapping[str, Any]) -> tuple[str, str]:
    return model["family"]["name"], model["trained_on"]


def _comparisons(record: Mapping[str, Any], diagnosis: Mapping[str, Any] | None) -> dict[str, Any]:
    """Accuracies of a run, and its diagnostics if there are such."""
    model: dict[str, Any] = {
        "family": {"name": record["family"]},
        "name": record["run"],
        "trained_on": record["trained_on"],
        "num_comparisons": record["n"],
        "helpfulness_accuracy": {risk: _rate(each) for risk, each in record["accuracy"].items()},
    }
    if record.get("longer_is_chosen") is not None:
        model["longer_is_helpful"] = {"value": record["longer_is_chosen"]}
    if record["r2"] is not None:
        model["explained_variance"] = {"pooled": {"value": record["r2"]}}
    if diagnosis is None:
        return model
    nats, length = diagnosis["log_likelihood"], diagnosis.get("length")
    model |= {
        "stopping_rule": diagnosis["stopping_rule"],
        "num_prompts": nats["num_prompts"],
        "log_likelihood": _interval(nats),
        "expected_calibration_error": {"value": diagnosis["expected_calibration_error"]},
        "brier_score": {"value": diagnosis["brier_score"]},
        "preference_entropy": diagnosis["indecision"],
        "explained_variance": {
            each["scale"]: _interval(each) for each in diagnosis["explained_variance"]
        },
    }
    if diagnosis.get("against_base"):
        model["against_base"] = _interval(diagnosis["against_base"]["interval"])
    if length:
        model["length"] = {
            "longer_wins": {"value": length["longer_wins"]},
            "without_length": {"value": length["without_length"]},
            "coefficient": length["coefficient"],
        }
        model["accuracy_by_probability"] = {
            **{"value": length["model"], "published": length["model"]},
            "n": record["n"],
        }
    return model


def _interval(record: Mapping[str, Any]) -> dict[str, Any]:
    ends = {name: record[name] for name in ("value", "low", "high")}
    return {**ends, "how": "bootstrap"}


def _rate(record: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: record[name] for name in ("low", "high", "published", "ties", "n")}
    return {"value": record["corrected"], "how": "Wilson", **same}

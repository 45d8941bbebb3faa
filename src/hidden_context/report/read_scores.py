"""Score files to what the page shows, by the measures of `summarize`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hidden_context.distributions import FAMILIES
from hidden_context.errors import UserError
from hidden_context.measures.risk_curves import CURVES, RiskCurve, risk_curve
from hidden_context.measures.summary import PAPER_RISK, Rate
from hidden_context.records import (
    CHECKPOINT_RECORD,
    meta_path,
    read_json,
    read_jsonl,
    require_columns,
)
from hidden_context.report.distinct_names import distinct_names
from hidden_context.report.measure_scores import at_most, measure
from hidden_context.report.measured import (
    Estimate,
    Measured,
    Result,
    Run,
    ScoreFile,
    Table,
)
from hidden_context.report.numbers_in_words import NO_VALUE, estimate
from hidden_context.report.result_files import evaluations_in, jailbreak_files_in
from hidden_context.scores.model_scores import ModelScores
from hidden_context.scores.score_files import (
    ScoredComparisons,
    ScoredJailbreaks,
    find_jailbreaks,
    read_comparisons,
    read_jailbreaks,
)

OUTPUTS = "reward_outputs_"
PROVENANCE = ("hidden_context", "commit", "versions")
Say = Callable[[str], None]
"""Tells what is being done."""


def read_data_dir(data_dir: Path, say: Say) -> Result:
    """Read a folder of `summarize`: runs on comparisons, and jailbreaks.

    Raises:
        UserError: A file cannot be read.
    """
    files = evaluations_in(data_dir)
    scored = [read_comparisons(file, trained_on) for file, trained_on in files]
    order = sorted(range(len(files)), key=lambda k: list(FAMILIES).index(scored[k].family.name))
    files, scored = [files[k][0] for k in order], [scored[k] for k in order]
    jailbreaks = find_jailbreaks(data_dir)
    result = _of_comparisons(files, scored, say)
    runs = [*result.runs]
    for file in jailbreak_files_in(data_dir):
        found = [each for each in jailbreaks if file.name.endswith(f"_{each.family.name}.jsonl")]
        families = ", ".join(dict.fromkeys(each.family.name for each in found))
        runs.append(_run(file, file.name, families, ", ".join(each.trained_on for each in found)))
    curves = [
        replace(risk_curve(each, CURVES["quantile"]), family=name)
        for name, each in _together(scored, jailbreaks)
    ]
    return replace(
        result,
        title=f"Reward models in {data_dir.name or data_dir}",
        source=str(data_dir),
        curves=tuple(curves),
        numbers=_numbers(result.measured, curves),
        runs=tuple(runs),
    )


def read_comparison_file(file: Path, say: Say) -> Result:
    """Read one score file of `evaluate`.

    Raises:
        UserError: It cannot be read.
    """
    scored = read_comparisons(file, file.stem)
    result = _of_comparisons([file], [scored], say)
    curves = [risk_curve(ModelScores(comparisons=scored), CURVES["quantile"])]
    curves = [curve for curve in curves if curve.points]
    title = f"Comparisons scored by {scored.family.name}: {file.name}"
    numbers = _numbers(result.measured, curves)
    return replace(result, title=title, source=str(file), curves=tuple(curves), numbers=numbers)


def read_response_file(file: Path) -> Result:
    """Read one score file of `score`; of two responses the first counts as the safe one.

    Raises:
        UserError: It cannot be read, or its record names no column.
    """
    rows = read_jsonl(file)
    columns = list(read_json(meta_path(file)).get("families", {}))
    if not columns:
        raise UserError(f"{meta_path(file)} has no families; score the responses again.")
    require_columns(rows, ("prompt", "responses", *columns), file)
    runs = [
        _run(file, file.name, read_json(meta_path(file))["families"][column].get("name", ""), name)
        for column in columns
        for name in [column.removeprefix(OUTPUTS)]
    ]
    result = Result(f"Scored responses: {file.name}", str(file), runs=tuple(runs))
    sizes = {len(row["responses"]) for row in rows}
    if sizes != {2}:
        listed = " or ".join(map(str, sorted(sizes)))
        note = f"Rows have {listed} responses: no rates, which need a safe and an unsafe one."
        return replace(result, notes=(note,))
    jailbreaks = [read_jailbreaks(rows, column, file) for column in columns]
    curves = [risk_curve(ModelScores(each), CURVES["quantile"]) for each in jailbreaks]
    note = "Of the two responses of each row the first is taken for safe, the second for unsafe."
    numbers = _numbers((), curves)
    return replace(result, curves=tuple(curves), numbers=numbers, notes=(note,))


def _of_comparisons(files: Sequence[Path], scored: Sequence[ScoredComparisons], say: Say) -> Result:
    """Measures, runs and score files, without title."""
    names = distinct_names([(each.family.name, each.trained_on) for each in scored])
    measured, runs, score_files, notes = [], [], [], []
    some = [at_most(each) for each in scored]
    for file, whole, part, name in zip(files, scored, some, names, strict=True):
        say(f"measuring {name} on {whole.trained_on} ({len(part.prompt)} comparisons)")
        if len(part.prompt) < len(whole.prompt):
            notes.append(
                f"{name}, {whole.trained_on}: measured on {len(part.prompt)} of "
                f"{len(whole.prompt)} comparisons, whole prompts drawn at random; rates by level "
                "of risk are of all."
            )
        try:
            found = measure(some, part, name)
            measured.append(found)
            nats = found.log_likelihood.value if found.log_likelihood else None
        except UserError as error:
            notes.append(f"{name}, {whole.trained_on}: no measures ({error})")
            nats = None
        runs.append(_run(file, file.parent.name, whole.family.name, whole.trained_on))
        score_files.append(ScoreFile(file, whole.family, whole.trained_on, nats))
    return Result(
        "",
        "",
        measured=tuple(measured),
        runs=tuple(runs),
        score_files=tuple(score_files),
        notes=tuple(notes),
    )


def _run(file: Path, name: str, family: str, data_set: str) -> Run:
    meta = read_json(meta_path(file)) if meta_path(file).is_file() else {}
    record = file.parent / CHECKPOINT_RECORD
    training: Mapping[str, Any] = read_json(record) if record.is_file() else {}
    configs = {"training": training.get("config"), "scoring": meta.get("config")}
    return Run(
        name=name,
        family=family,
        data_set=data_set,
        stopping_rule=str(meta.get("stopping_rule", "")),
        counts={**meta.get("counts", {}), **training.get("training", {})},
        configs={step: config for step, config in configs.items() if config},
        provenance={name: meta.get(name, training.get(name)) for name in PROVENANCE},
    )


def _together(
    comparisons: Sequence[ScoredComparisons], jailbreaks: Sequence[ScoredJailbreaks]
) -> list[tuple[str, ModelScores]]:
    """Both scores of a model, where neither has several of one family and training set.

    Each with its name, which for comparisons is that of their measures.
    """

    def key(scored: ScoredComparisons | ScoredJailbreaks) -> tuple[str, str]:
        return scored.family.name, scored.trained_on

    several = Counter(map(key, comparisons)), Counter(map(key, jailbreaks))
    by_model: dict[Any, tuple[str, ModelScores]] = {}
    for number, jailbroken in enumerate(jailbreaks):
        alone = several[1][key(jailbroken)] > 1
        model = ("jailbreaks", number) if alone else key(jailbroken)
        by_model[model] = jailbroken.family.name, ModelScores(jailbroken)
    names = distinct_names([key(each) for each in comparisons])
    for number, (name, compared) in enumerate(zip(names, comparisons, strict=True)):
        alone = several[0][key(compared)] > 1
        model = ("comparisons", number) if alone else key(compared)
        of_jailbreaks = by_model[model][1].jailbreaks if model in by_model else None
        by_model[model] = name, ModelScores(of_jailbreaks, compared)
    return list(by_model.values())


def _numbers(measured: Sequence[Measured], curves: Sequence[RiskCurve]) -> Table:
    """The numbers of the paper for each model."""
    by_model = {(each.family, each.data_set): each for each in measured}
    of_curves = {(each.family, each.trained_on): each for each in curves}
    rows = []
    for model in dict.fromkeys([*by_model, *of_curves]):
        found, curve = by_model.get(model), of_curves.get(model)
        r2 = found.explained_variance.get("pooled") if found else None
        points = {point.risk: point for point in curve.points} if curve else {}
        by_mean, averse = points.get("mean"), points.get(str(PAPER_RISK))
        rates = [
            by_mean.jailbreak if by_mean else None,
            averse.jailbreak if averse else None,
            by_mean.accuracy if by_mean else None,
            averse.accuracy if averse else None,
        ]
        rows.append((*model, estimate(r2), *map(_rate, rates)))
    headers = ("family", "trained on", "r², pooled")
    headers += ("jailbreak rate, mean", "jailbreak rate, 0.01-quantile")
    headers += ("accuracy, mean", "accuracy, 0.01-quantile")
    kept = [k for k in range(7) if k < 2 or any(row[k] != NO_VALUE for row in rows)]
    return Table(
        tuple(headers[k] for k in kept), tuple(tuple(row[k] for k in kept) for row in rows)
    )


def _rate(found: Rate | None) -> str:
    return NO_VALUE if found is None else estimate(Estimate(found.corrected, found.low, found.high))

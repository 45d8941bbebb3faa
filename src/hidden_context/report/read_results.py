"""Whatever a page can be made of (values in memory, files, folders) to what it shows."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.audits.result import AuditResult
from hidden_context.axes.axes import Axes
from hidden_context.errors import UserError
from hidden_context.items.fit import ItemFit
from hidden_context.judging.result import JudgeAudit
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import TRUTH_FILE, read_truth
from hidden_context.measures.models import model_key, models_of
from hidden_context.measures.plots import labels_of
from hidden_context.measures.risk_levels import CURVES
from hidden_context.people.findings import PeopleFindings
from hidden_context.records import CHECKPOINT_RECORD, read_json, read_record
from hidden_context.report.axes_results import axes_to_result, read_axes_result
from hidden_context.report.items_result import items_to_result
from hidden_context.report.read_audit import audit_to_result, read_audit
from hidden_context.report.read_judges import judges_to_result, read_judges
from hidden_context.report.read_people import people_to_result
from hidden_context.report.read_summary import read_summary, result_of
from hidden_context.report.result_files import CURVES_FILE, METRICS, find_results
from hidden_context.report.results import Answer, ExampleSource, Panel, Result, Run, Table, made_by
from hidden_context.report.side_by_side import same_comparisons, side_by_side
from hidden_context.report.tables import decimal, main_numbers, setting
from hidden_context.report.unfinished import unfinished
from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks, training_set_of
from hidden_context.scores.score_files import columns_of, load_scores
from hidden_context.scores.scores import Scores

OF_VALUES: Mapping[type, Callable[..., Result]] = {
    AuditResult: audit_to_result,
    JudgeAudit: judges_to_result,
    Axes: axes_to_result,
    ItemFit: items_to_result,
    PeopleFindings: lambda found, source: people_to_result(found),
}
"""How a result in memory is shown; they take its source too."""
KINDS = (Evaluation, Scores, *OF_VALUES, Result, str, Path)
"""Of what a page can be made of."""
RISKS = CURVES["quantile"]
OTHER_COMPARISONS = (
    "The other score files are of other comparisons, or count ties otherwise, so these models are "
    "not held against those."
)
SAFE_FIRST = "Of the two responses of each row the first is taken for safe, the second for unsafe."


def as_results(given: Any) -> list[Result]:
    """Evaluations (together), scores (together), audits, results and paths, one of them or many.

    Raises:
        UserError: Something is of no known kind, or a file cannot be read.
    """
    is_one = isinstance(given, KINDS) or not isinstance(given, Iterable)
    items: list[Any] = [given] if is_one else list(given)
    if not items or not all(isinstance(item, KINDS) for item in items):
        names = ", ".join(sorted({type(item).__name__ for item in items})) or "nothing"
        raise UserError(
            f"a page was to be made of {names}; give Evaluations, Scores, results of audit and the "
            "like, or paths of results."
        )
    results = [item for item in items if isinstance(item, Result)]
    evaluations = [item for item in items if isinstance(item, Evaluation)]
    scores = [item for item in items if isinstance(item, Scores)]
    paths = [Path(item) for item in items if isinstance(item, (str, Path))]
    results += [
        to_result(item, source="in memory")
        for kind, to_result in OF_VALUES.items()
        for item in items
        if isinstance(item, kind)
    ]
    if evaluations:
        several = len(evaluations) > 1
        title = "Evaluations" if several else f"Evaluation of {labels_of(evaluations)[0]}"
        results.append(result_of(evaluations, title=title, source="in memory"))
    if scores:
        result = _of_scores(scores, "Scores", "in memory")
        comparisons = [each for each in scores if each.kind == "comparisons"]
        are_same = len(same_comparisons(comparisons)) == 1
        results.append(side_by_side(result) if are_same else result)
    if paths:
        results += read_results(paths)
    return results


def read_results(paths: Sequence[Path]) -> Iterator[Result]:
    """Everything that is found, audits first; see `find_results`.

    Raises:
        UserError: A file cannot be read, or nothing is found.
    """
    readers: Mapping[str, Callable[[Sequence[Path]], Iterator[Result]]] = {
        "audits": partial(map, read_audit),
        "judges": partial(map, read_judges),
        "data_dirs": partial(map, _read_data_dir),
        "comparisons": _read_comparisons,
        "responses": partial(map, _read_responses),
        "summaries": partial(map, read_summary),
        "synthetic": partial(map, _read_synthetic),
        "axes": partial(map, read_axes_result),
    }
    files = find_results(paths)
    return (
        replace(result, command=f"hidden-context report {shlex.quote(result.source)}")
        if not result.command
        else result
        for kind, read in readers.items()
        for result in read(getattr(files, kind))
    )


def _read_data_dir(folder: Path) -> Result:
    """What `summarize` reads."""
    comparisons = find_comparisons(folder)
    scores = [*comparisons, *find_jailbreaks(folder)]
    result = _of_scores(scores, f"Reward models in {folder.name or folder}", str(folder))
    result = replace(result, unfinished=unfinished(folder, comparisons))
    file = folder / TRUTH_FILE
    return _with_truth(result, comparisons, file) if file.is_file() else result


def _with_truth(result: Result, comparisons: Sequence[Scores], file: Path) -> Result:
    """With what is known to be true, unless it is of other comparisons than those scored."""
    truth = read_truth(file)
    for scores in comparisons:
        if not all(known.is_of(scores) for known in truth.values()):
            note = f"{file} is of other comparisons than {scores.source}, so no truth is drawn."
            return replace(result, notes=(*result.notes, note))
    return replace(result, truth=truth)


def _read_comparisons(files: Sequence[Path]) -> Iterator[Result]:
    """Score files of `evaluate`; those of the same comparisons together."""
    groups = same_comparisons(list(map(_scores_of_comparisons, files)))
    for scores in groups:
        paths = [each.source for each in scores]
        title = f"Comparisons scored by {scores[0].family.name}: {Path(paths[0]).name}"
        if len(scores) > 1:
            title = f"{len(scores)} models on the same {len(scores[0]):,} comparisons"
        result = _of_scores(scores, title, ", ".join(paths), scored=_scored(scores))
        yield replace(
            side_by_side(result),
            command=f"hidden-context report {shlex.join(paths)}",
            notes=(*result.notes, *([OTHER_COMPARISONS] if len(groups) > 1 else [])),
        )


def _scores_of_comparisons(file: Path) -> Scores:
    """One score file, called by its own name; what its model was trained on may not be known."""
    scores = load_scores(file, name=file.stem)
    return replace(scores, trained_on=training_set_of(file))


def _scored(scores: Sequence[Scores]) -> str:
    """What to call the comparisons that all of these models scored: by the data set, if known."""
    recorded = {str(each.record.get("config", {}).get("data_path", "")) for each in scores} - {""}
    if len(recorded) == 1:
        return Path(recorded.pop()).name
    return f"{len(scores[0]):,} comparisons" if len(scores) > 1 else Path(scores[0].source).name


def _read_responses(file: Path) -> Result:
    """One score file of `score`: jailbreak rates where every row has two responses."""
    scores = [load_scores(file, column) for column in columns_of(file)]
    if not scores:
        raise UserError(f"{file} has no raw outputs; score the responses again.")
    return _of_scores(scores, f"Scored responses: {file.name}", str(file))


def _of_scores(scores: Sequence[Scores], title: str, source: str, *, scored: str = "") -> Result:
    """Evaluations, runs and examples of scores; `scored` is the name of what they are of."""
    comparisons = [of_model for of_model in scores if of_model.kind == "comparisons"]
    responses = [of_model for of_model in scores if of_model.kind != "comparisons"]
    pairs = [of_model for of_model in responses if (of_model.sizes == 2).all()]
    notes = [
        f"{of_model.name}: rows have {' or '.join(map(str, np.unique(of_model.sizes)))} "
        "responses, so no rates, which need a safe and an unsafe one."
        for of_model in responses
        if of_model not in pairs
    ]
    notes += [SAFE_FIRST] if pairs else []
    notes += _without_rates(comparisons, pairs)
    evaluations, examples = [], []
    for model in models_of(comparisons, pairs):
        try:
            evaluation = model.evaluate(risks=RISKS)
        except UserError as error:
            notes.append(str(error))
            continue
        evaluation = replace(evaluation, evaluated_on=scored or evaluation.evaluated_on)
        evaluations.append(evaluation)
        if model.comparisons is not None:
            examples.append(ExampleSource(evaluation, lambda scores=model.comparisons: scores))
    return Result(
        title=title,
        source=source,
        numbers=main_numbers(evaluations),
        evaluations=tuple(evaluations),
        runs=tuple(map(_run, [*comparisons, *responses])),
        examples=tuple(examples),
        notes=tuple(notes),
    )


def _without_rates(comparisons: Sequence[Scores], pairs: Sequence[Scores]) -> list[str]:
    """Why some models have no jailbreak rates where others have."""
    scored = {model_key(of_model) for of_model in pairs}
    return [
        f"{of_model.family.name}, trained on {of_model.trained_on}, scored no pairs of a safe and "
        "an unsafe response that are found here, so its jailbreak rates are –."
        for of_model in comparisons
        if scored and model_key(of_model) not in scored
    ]


def _run(scores: Scores) -> Run:
    """What the score file and the checkpoint beside it say of themselves."""
    file = Path(scores.source).parent / CHECKPOINT_RECORD
    checkpoint = read_record(file, objects=["training", "config"]) if file.is_file() else {}
    return Run(
        name=scores.name,
        family=scores.family.name,
        data_set=scores.trained_on or Path(scores.source).name,
        stopping_rule=str(scores.record.get("stopping_rule", "")),
        settings={
            "counts": {**scores.record.get("counts", {}), **checkpoint.get("training", {})},
            "training": checkpoint.get("config") or {},
            "scoring": scores.record.get("config") or {},
            "made by": made_by({**checkpoint, **scores.record}),
        },
    )


def _read_synthetic(folder: Path) -> Result:
    """metrics.json of a synthetic experiment, and its figures."""
    file = folder / METRICS
    record = read_json(file)
    headers = ("family", "expected loss, nats", "Spearman with Borda count", "with E[u]")
    try:
        config = record["config"]
        models: Mapping[str, Any] = record["models"]
        rows = [_answers("exact", record["exact"]), *starmap(_answers, models.items())]
        env = setting(config["env"])
        settings = {"experiment": {**config}, "made by": made_by(record)}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UserError(f"{file} is damaged: {type(error).__name__} {error}.") from error
    run = Run(
        name=f"synthetic {env}",
        family=", ".join(models),
        data_set="generated",
        settings=settings,
    )
    return Result(
        title=f"Synthetic experiment {env}",
        source=str(folder),
        answer=_synthetic_answer(models),
        numbers=Table((*headers, "r² of ranks"), tuple(rows)),
        runs=(run,),
        synthetic=tuple(_synthetic_panels(folder)),
    )


def _synthetic_answer(models: Mapping[str, Any]) -> Answer:
    """Whether one number orders responses by how often they win, and not by their mean utility."""
    order = models.get("base", {}).get("ordering")
    if not order:
        why = "no scalar model was trained"
        return Answer("cannot tell", f"This run cannot tell what one number hides: {why}.", "", ())
    by_wins, by_mean = (order[what]["spearman"] for what in ("borda_count", "expected_utility"))
    numbers = f"rank correlation {decimal(by_wins, 2)} against {decimal(by_mean, 2)}"
    sure = "Over all states of a grid, by exact probabilities: no sampling error, one training."
    if by_wins > by_mean:
        sentence = "A scalar model orders responses by how often they win, not by mean utility"
        return Answer("yes", f"{sentence}: {numbers}.", sure, ())
    sentence = "In this run a scalar model orders responses no more by how often they win than by "
    return Answer("no", f"{sentence}mean utility: {numbers}.", sure, ())


def _answers(name: str, measured: Mapping[str, Any]) -> tuple[str, ...]:
    order = measured.get("ordering")
    with_exact = [
        decimal(order[what]["spearman"] if order else None)
        for what in ("borda_count", "expected_utility")
    ]
    r2 = measured.get("rank_explained_variance")
    return (name, decimal(measured["expected_loss"], 4), *with_exact, decimal(r2))


def _synthetic_panels(folder: Path) -> list[Panel]:
    from hidden_context.synthetic.figures import panels_of, read_curves

    curves = read_curves(folder / CURVES_FILE)
    return [
        Panel(title, f"{curves['env']} environment.", lambda axes, draw=draw: draw(axes, curves))
        for title, draw in panels_of(curves)
    ]

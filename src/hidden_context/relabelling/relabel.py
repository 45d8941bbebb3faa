"""`relabel`: new labels for preference data by a judge, kept so that nothing is paid twice."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.splits import Split
from hidden_context.errors import UserError
from hidden_context.records import as_plain, read_record, write_json, write_jsonl
from hidden_context.relabelling.answers import JOURNAL, Answers, only_run_in
from hidden_context.relabelling.asking import Asking, ask_all
from hidden_context.relabelling.budget import Budget, Purse
from hidden_context.relabelling.endpoint import Endpoint
from hidden_context.relabelling.judge import Answer, Judge
from hidden_context.relabelling.labels import labels_of, row_of
from hidden_context.relabelling.plan import Choices, Plan, planned
from hidden_context.relabelling.questions import OBJECTIVES, Objectives
from hidden_context.relabelling.result import Relabelled, counted, measures_of, record_of

JUDGE_FOLDER = "judge"
"""Beside the folders of the objectives: answers, what could not be read, and the record."""
FOLDERS = (*OBJECTIVES, "both")
NOT_TO_CHANGE = ("source", "judge", "seed")
"""Settings of which the labels in a folder are; others may change when it is gone on with."""


def relabel(
    comparisons: Comparisons,
    out: str | Path,
    judge: Judge,
    *,
    objective: Objectives = "mixed",
    votes: int = 1,
    split: str = "train",
    seed: int = 0,
    budget: Budget | None = None,
    asking: Asking | None = None,
    ask_again: bool = False,
    announce: Callable[[Plan], object] | None = None,
    progress: bool = False,
) -> Relabelled:
    """Have a judge say which of two responses is more helpful, or less harmful.

    As in the DPL paper (appendix C): harmlessness is asked for as harm, and inverted; the order of
    the two responses is drawn by the seed. Answers are kept in `out/judge/answers.jsonl` when they
    come, so the same call goes on where it was interrupted, and asks nothing twice. Labels are
    written to `out/<objective>/<split>.jsonl.gz`, also where the budget ended the run.

    Args:
        comparisons: Of two responses each; see `load_comparisons`.
        out: Folder.
        judge: The model, and how it is asked.
        objective: `helpful` or `harmless`; `both`, every pair by each; or `mixed`, every pair by
            one of them, drawn by the seed, as published.
        votes: Verdicts on each pair by each objective.
        split: Name of the files.
        seed: Of orders and of `mixed`.
        budget: Where to stop; no limit if not given.
        asking: How many at once, how often, how patiently.
        ask_again: Ask once more what was answered without a verdict.
        announce: Called with what will be asked, and where, before the first request.
        progress: Show a bar.

    Raises:
        UserError: The judge cannot be asked, or gave no verdict; `out` holds other labels, or
            another process has it. What was answered is kept.
    """
    out, name = Path(out), Split.parse(split).name
    choices = Choices(objective, votes, seed, ask_again)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder.")
    folder, purse = out / JUDGE_FOLDER, Purse(budget or Budget())
    with closing(Endpoint(judge)) as endpoint, only_run_in(folder):
        answers = Answers(folder)
        plan = planned(comparisons, judge, endpoint.address, answers.get, choices)
        _check_folder(out, name, plan)
        if announce is not None:
            announce(plan)
        ask_all(plan.to_ask, endpoint, answers, purse, asking or Asking(), progress=progress)
        return _written(plan, answers, purse, out, name)


def plan_relabelling(
    comparisons: Comparisons,
    out: str | Path,
    judge: Judge,
    *,
    objective: Objectives = "mixed",
    votes: int = 1,
    seed: int = 0,
    ask_again: bool = False,
) -> Plan:
    """What `relabel` with the same arguments would ask; nothing is sent.

    Raises:
        UserError: The judge could not be asked, or another process is asking it.
    """
    choices = Choices(objective, votes, seed, ask_again)
    folder = Path(out) / JUDGE_FOLDER
    answer_to: Callable[[str], Answer | None] = {}.get
    if (folder / JOURNAL).is_file():
        with only_run_in(folder):
            answer_to = Answers(folder).get
    with closing(Endpoint(judge)) as endpoint:
        return planned(comparisons, judge, endpoint.address, answer_to, choices)


def _check_folder(out: Path, name: str, plan: Plan) -> None:
    """Refuse to write over labels of other data or of another judge.

    Raises:
        UserError: Labels are there, and their record says something else, or is not there.
    """
    there = [file for folder in FOLDERS if (file := _labels_file(out, folder, name)).exists()]
    if not there:
        return
    record_file = _record_file(out, name)
    if not record_file.exists():
        raise UserError(
            f"{there[0]} is there, and {record_file} does not say that a judge labelled it; give "
            "another folder."
        )
    before, now = read_record(record_file), as_plain(plan.settings)
    for setting in (*NOT_TO_CHANGE, *(("objective",) if plan.objective != "both" else ())):
        if before.get(setting) != now[setting]:
            raise UserError(
                f"{out} holds labels whose {setting} is {before.get(setting)}, and it is "
                f"{now[setting]} now; give another folder."
            )


def _labels_file(out: Path, folder: str, name: str) -> Path:
    return out / folder / f"{name}.jsonl.gz"


def _record_file(out: Path, name: str) -> Path:
    return out / JUDGE_FOLDER / f"{name}.json"


def _written(plan: Plan, answers: Answers, purse: Purse, out: Path, name: str) -> Relabelled:
    read = labels_of(plan.asked, answers.get)
    unread_file = out / JUDGE_FOLDER / f"{name}.unread.jsonl"
    write_jsonl(unread_file, read.unread)
    if read.unread and not read.labels and not read.num_unanswered:
        raise UserError(
            f"no verdict could be read of {len(read.unread)} answers ({counted(read.kinds)}); "
            f"they are in {unread_file}."
        )
    rows = [row_of(label, votes=plan.votes) for label in read.labels]
    files = {
        _labels_file(out, folder, name): of_folder
        for folder in FOLDERS
        if folder != "both" or plan.objective in ("mixed", "both")
        if (of_folder := [row for row in rows if folder in ("both", row["objective"])])
    }
    result = Relabelled(
        rows=rows,
        unread=read.unread,
        kinds=dict(read.kinds),
        num_unanswered=read.num_unanswered,
        num_without_verdict=read.num_without_verdict,
        stopped_by=purse.exhausted,
        spent=purse.spent,
        cost=purse.cost,
        measures=measures_of(read.labels),
        files=(*files, unread_file),
    )
    record = record_of(plan, result, answers.get, sorted(answers.endpoints))
    write_json(_record_file(out, name), record)
    for file, of_file in files.items():
        write_jsonl(file, of_file)
    return result

"""`relabel`: new labels for preference data by a judge, kept so that nothing is paid twice."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.splits import split_name
from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.rates import wilson
from hidden_context.records import (
    as_plain,
    provenance,
    read_record,
    write_json,
    write_jsonl,
)
from hidden_context.relabelling.answers import JOURNAL, Answers, only_run_in
from hidden_context.relabelling.asking import Asking, ask_all
from hidden_context.relabelling.budget import Budget, Purse, Spent
from hidden_context.relabelling.judge import Answer, Endpoint, Judge
from hidden_context.relabelling.labels import Label, Row, labels_of, row_of
from hidden_context.relabelling.questions import (
    OBJECTIVES,
    Objectives,
    Question,
    objectives_of,
    questions_on,
)
from hidden_context.relabelling.read_pairs import read_pairs
from hidden_context.relabelling.verdicts import NO_VERDICT, read_verdict

JUDGE_FOLDER = "judge"
"""Beside the folders of the objectives: answers, what could not be read, and the record."""
FOLDERS = (*OBJECTIVES, "both")
NOT_TO_CHANGE = ("source", "judge", "seed")
"""Settings of which the labels in a folder are; others may change when it is gone on with."""


@dataclass(frozen=True)
class Plan:
    """What will be asked, before anything is sent."""

    address: str
    """Where requests go."""
    source: str
    judge: Judge
    objective: Objectives
    votes: int
    seed: int
    num_pairs: int
    num_equal: int
    """Pairs of equal texts, of which nobody can prefer one: not asked about."""
    asked: tuple[tuple[Question, ...], ...]
    """The questions on each pair by each objective."""
    to_ask: tuple[Question, ...]
    """Those without an answer, each once, in order."""

    @property
    def num_questions(self) -> int:
        """All, those that are answered with them; equal ones count once."""
        return len({question.key for questions in self.asked for question in questions})

    @property
    def most_tokens(self) -> int:
        """Upper bound of what is to be asked, in tokens of questions and answers."""
        return sum(sum(each.judge.most_tokens(each.body)) for each in self.to_ask)

    def __str__(self) -> str:
        answered = self.num_questions - len(self.to_ask)
        return (
            f"{self.source}: {self.num_pairs} pairs ({self.num_equal} of equal texts left out), "
            f"judged by {self.objective}, {self.votes} verdicts each\n"
            f"{len(self.to_ask)} requests to {self.address} for {self.judge.model}, of at most "
            f"{self.most_tokens} tokens; {answered} answers are there already"
        )


@dataclass(frozen=True)
class Relabelled:
    """New labels, and how they came about."""

    rows: list[Row]
    """Of the published layout, in the order of the data."""
    unread: list[Row]
    """Answers without a verdict, as they came."""
    kinds: dict[str, int]
    """Answers by what they are: verdict, refusal, unreadable, ..."""
    num_unanswered: int
    """Pairs (each by one objective) that are not all asked about."""
    num_without_verdict: int
    """Pairs that were, without a verdict."""
    stopped_by: str | None
    """What of the budget was reached; None if it was enough."""
    spent: Spent
    cost: float | None
    """In the currency of the prices, if they were given."""
    measures: dict[str, Estimate]
    """How often the first was named, the original label given, and the votes on a pair agree."""
    files: tuple[Path, ...]
    """Those written."""

    @property
    def is_complete(self) -> bool:
        """Whether every question is answered."""
        return not self.num_unanswered

    def comparisons(self) -> Comparisons:
        """The new labels as preference data.

        Raises:
            UserError: There are none.
        """
        return Comparisons.from_rows(self.rows, "relabelled")

    def __str__(self) -> str:
        spent = self.spent
        tokens = f"{spent.prompt_tokens} + {spent.answer_tokens} tokens"
        of_them = f", of {spent.uncounted} the most they can be" if spent.uncounted else ""
        cost = "" if self.cost is None else f", cost {self.cost:.4g}"
        lines = [
            f"labels: {len(self.rows)} ({self.num_without_verdict} pairs without a verdict, "
            f"{self.num_unanswered} not yet asked about)",
            f"answers: {self.kinds.get('verdict', 0)} with a verdict, {len(self.unread)} without"
            + (f" ({_counted(self.kinds)})" if self.unread else ""),
            f"spent now: {spent.requests} requests, {tokens}{of_them}{cost}",
            *(f"{name}: {estimate}" for name, estimate in self.measures.items()),
        ]
        return "\n".join(lines)


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
    out, name = Path(out), split_name(split)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder.")
    folder, purse = out / JUDGE_FOLDER, Purse(budget or Budget())
    with closing(Endpoint(judge)) as endpoint, only_run_in(folder):
        answers = Answers(folder)
        plan = _planned(
            comparisons, endpoint, answers.get, objective, votes, seed, ask_again=ask_again
        )
        _check_folder(out, name, plan)
        if announce is not None:
            announce(plan)
        if plan.to_ask:
            how = asking or Asking()
            ask_all(plan.to_ask, endpoint, answers, purse, how, progress=progress)
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
    folder = Path(out) / JUDGE_FOLDER
    answer_to: Callable[[str], Answer | None] = {}.get
    if (folder / JOURNAL).is_file():
        with only_run_in(folder):
            answer_to = Answers(folder).get
    with closing(Endpoint(judge)) as endpoint:
        return _planned(
            comparisons, endpoint, answer_to, objective, votes, seed, ask_again=ask_again
        )


def _planned(
    comparisons: Comparisons,
    endpoint: Endpoint,
    answer_to: Callable[[str], Answer | None],
    objective: Objectives,
    votes: int,
    seed: int,
    *,
    ask_again: bool,
) -> Plan:
    if objective not in ("mixed", "both", *OBJECTIVES):
        raise UserError(f"objective is {objective!r}; give mixed, both, helpful or harmless.")
    if not 1 <= votes < math.inf:
        raise UserError(f"votes is {votes}; expected 1 or more.")
    judge, pairs = endpoint.judge, read_pairs(comparisons)
    asked = tuple(
        tuple(questions_on(pair, each, judge, votes=votes, seed=seed))
        for pair in pairs
        if not pair.is_of_equal_texts
        for each in objectives_of(pair, objective, seed)
    )
    to_ask: dict[str, Question] = {}
    for question in (question for questions in asked for question in questions):
        answer = answer_to(question.key)
        if answer is None or (ask_again and read_verdict(answer).letter is None):
            to_ask.setdefault(question.key, question)
    return Plan(
        address=endpoint.address,
        source=comparisons.source,
        judge=judge,
        objective=objective,
        votes=votes,
        seed=seed,
        num_pairs=len(pairs),
        num_equal=sum(pair.is_of_equal_texts for pair in pairs),
        asked=asked,
        to_ask=tuple(to_ask.values()),
    )


def _settings(plan: Plan) -> dict[str, Any]:
    """Of which the labels are; where the judge lives and how long one waits are not among them."""
    unimportant = ("base_url", "api_key_env", "timeout")
    judge = {name: value for name, value in asdict(plan.judge).items() if name not in unimportant}
    return {
        "source": plan.source,
        "judge": judge,
        "seed": plan.seed,
        "objective": plan.objective,
        "votes": plan.votes,
    }


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
    before, now = read_record(record_file), as_plain(_settings(plan))
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
            f"no verdict could be read of {len(read.unread)} answers ({_counted(read.kinds)}); "
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
        measures=_measures(read.labels),
        files=(*files, unread_file),
    )
    write_json(_record_file(out, name), _record(plan, result, sorted(answers.endpoints)))
    for file, of_file in files.items():
        write_jsonl(file, of_file)
    return result


def _counted(kinds: Mapping[str, int]) -> str:
    """Answers without a verdict, in words."""
    return "; ".join(f"{kinds[kind]} {NO_VERDICT[kind]}" for kind in NO_VERDICT if kinds.get(kind))


def _measures(labels: list[Label]) -> dict[str, Estimate]:
    """What verdicts show of the judge, each with an interval over prompts."""
    measures = {}
    if labels:
        verdicts = [(label, *each) for label in labels for each in label.verdicts]
        measures["the response shown first was named"] = wilson(
            [float(letter == "A") for _, _, letter, _ in verdicts],
            [str(label.pair.prompt) for label, *_ in verdicts],
        )
    for objective in OBJECTIVES:
        known = [
            label
            for label in labels
            if label.objective == objective and label.pair.originally_preferred is not None
        ]
        if known:
            agree = [
                label.votes[label.pair.originally_preferred or 0] / len(label.verdicts)
                for label in known
            ]
            measures[f"verdicts by {objective} for the response that the data prefer"] = wilson(
                agree,
                [str(label.pair.prompt) for label in known],
                weights=[float(len(label.verdicts)) for label in known],
            )
    return measures


def _record(plan: Plan, result: Relabelled, endpoints: list[str]) -> dict[str, Any]:
    return {
        **provenance(),
        **_settings(plan),
        "endpoints": endpoints,
        "counts": {
            "pairs": plan.num_pairs,
            "equal_texts": plan.num_equal,
            "labels": len(result.rows),
            "without_verdict": result.num_without_verdict,
            "unanswered": result.num_unanswered,
            "answers": result.kinds,
        },
        "spent_by_the_last_run": {**asdict(result.spent), "cost": result.cost},
        "measures": {name: asdict(estimate) for name, estimate in result.measures.items()},
    }

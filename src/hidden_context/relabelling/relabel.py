"""`relabel`: new labels for preference data by a judge, kept so that nothing is paid twice."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.splits import split_name
from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.rates import wilson
from hidden_context.records import provenance, read_record, write_json, write_jsonl
from hidden_context.relabelling.answers import Answers, only_run_in
from hidden_context.relabelling.asking import Asking, ask_all
from hidden_context.relabelling.budget import Budget, Purse, Spent
from hidden_context.relabelling.judge import Endpoint, Judge
from hidden_context.relabelling.labels import Label, Labels, Row, labels_of, row_of
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
        return sum(sum(self.judge.most_tokens(question.body)) for question in self.to_ask)

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
            f"answers: {self.kinds.get('verdict', 0)} with a verdict",
            *(f"  {self.kinds[kind]} {NO_VERDICT[kind]}" for kind in NO_VERDICT if self.kinds[kind])
            if self.unread
            else (),
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
        progress: Show a bar.

    Raises:
        UserError: The judge cannot be asked, or gave no verdict; `out` holds other labels, or
            another process has it. What was answered is kept.
    """
    out, name = Path(out), split_name(split)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder.")
    endpoint = Endpoint(judge)
    try:
        with only_run_in(out / JUDGE_FOLDER):
            answers = Answers(out / JUDGE_FOLDER)
            plan = _planned(
                comparisons, endpoint, answers, objective, votes, seed, ask_again=ask_again
            )
            record_file = out / JUDGE_FOLDER / f"{name}.json"
            _check_folder(record_file, plan)
            purse = Purse(budget or Budget())
            if plan.to_ask:
                how = asking or Asking()
                total = len(plan.to_ask)
                ask_all(plan.to_ask, total, endpoint, answers, purse, how, progress=progress)
            return _written(plan, answers, purse, out, name)
    finally:
        endpoint.close()


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
    """What `relabel` with the same arguments would ask; nothing is sent or written.

    Raises:
        UserError: The judge could not be asked.
    """
    endpoint = Endpoint(judge)
    endpoint.close()
    folder = Path(out) / JUDGE_FOLDER
    answers = Answers(folder, read_only=True)
    return _planned(comparisons, endpoint, answers, objective, votes, seed, ask_again=ask_again)


def _planned(
    comparisons: Comparisons,
    endpoint: Endpoint,
    answers: Answers,
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
        answer = answers.get(question.key)
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


def _check_folder(record_file: Path, plan: Plan) -> None:
    """Refuse to write over labels of other data or of another judge.

    Raises:
        UserError: The record of what is there says something else.
    """
    if not record_file.exists():
        return
    before, now = read_record(record_file), _settings(plan)
    for name in (*NOT_TO_CHANGE, *(("objective",) if plan.objective != "both" else ())):
        if before.get(name) != now[name]:
            raise UserError(
                f"{record_file.parents[1]} holds labels of another {name}: {before.get(name)}, and "
                f"not {now[name]}; give another folder."
            )


def _written(plan: Plan, answers: Answers, purse: Purse, out: Path, name: str) -> Relabelled:
    read = labels_of(plan.asked, answers.get)
    rows = [row_of(label, votes=plan.votes) for label in read.labels]
    unread_file = out / JUDGE_FOLDER / f"{name}.unread.jsonl"
    files = []
    if read.unread or unread_file.exists():
        write_jsonl(unread_file, read.unread)
        files.append(unread_file)
    if not rows and not read.num_unanswered:
        raise UserError(
            f"no verdict could be read of {len(read.unread)} answers, which are in {unread_file}: "
            f"{_counted(read)}."
        )
    files = [*_write_labels(rows, plan.objective, out, name), *files]
    result = Relabelled(
        rows=rows,
        unread=read.unread,
        kinds=dict.fromkeys(NO_VERDICT, 0) | dict(read.kinds),
        num_unanswered=read.num_unanswered,
        num_without_verdict=read.num_without_verdict,
        stopped_by=purse.exhausted,
        spent=purse.spent,
        cost=purse.cost,
        measures=_measures(read.labels),
        files=tuple(files),
    )
    if rows:
        endpoints = sorted(answers.endpoints)
        write_json(out / JUDGE_FOLDER / f"{name}.json", _record(plan, result, endpoints))
    return result


def _counted(read: Labels) -> str:
    return "; ".join(f"{read.kinds[kind]} {NO_VERDICT[kind]}" for kind in NO_VERDICT if read.kinds[kind])


def _write_labels(rows: list[Row], objective: Objectives, out: Path, name: str) -> Iterator[Path]:
    for folder in (*OBJECTIVES, "both"):
        chosen = [row for row in rows if folder in ("both", row["objective"])]
        if chosen and (folder != "both" or objective in ("mixed", "both")):
            file = out / folder / f"{name}.jsonl.gz"
            write_jsonl(file, chosen)
            yield file


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

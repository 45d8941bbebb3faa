"""Verdicts as labels: rows of the published layout, and what was left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hidden_context.relabelling.judge import Answer
from hidden_context.relabelling.questions import Objective, Question, preferred
from hidden_context.relabelling.read_pairs import JudgedPair, transcript
from hidden_context.relabelling.verdicts import Verdict, read_verdict

Row: TypeAlias = dict[str, Any]
Asked: TypeAlias = Sequence[Question]
"""All questions on one pair by one objective."""


@dataclass(frozen=True)
class Label:
    """What the verdicts on a pair by one objective say together."""

    pair: JudgedPair
    objective: Objective
    verdicts: tuple[tuple[int, str, int], ...]
    """Index of the response shown first, the letter, and the index of the response preferred."""

    @property
    def votes(self) -> tuple[int, int]:
        """For each response, in the order of the data."""
        of_second = sum(index for _, _, index in self.verdicts)
        return len(self.verdicts) - of_second, of_second

    @property
    def winner(self) -> int:
        """Index of the response with more votes; of as many, of the one shown first at first."""
        first, second = self.votes
        return self.verdicts[0][0] if first == second else int(second > first)


@dataclass
class Labels:
    """Everything that answers said."""

    labels: list[Label] = field(default_factory=list)
    unread: list[Row] = field(default_factory=list)
    """Answers without a verdict, as they came."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Answers by what they are."""
    num_unanswered: int = 0
    """Pairs, each by one objective, of which not all questions are answered."""
    num_without_verdict: int = 0
    """Of which all are answered, and none with a verdict."""


def labels_of(asked: Iterable[Asked], answer_to: Callable[[str], Answer | None]) -> Labels:
    """Read the answers to the questions on each pair; a pair counts when all are answered."""
    result = Labels()
    for questions in asked:
        answers = [answer for each in questions if (answer := answer_to(each.key)) is not None]
        if len(answers) < len(questions):
            result.num_unanswered += 1
            continue
        read = [read_verdict(answer) for answer in answers]
        for question, answer, verdict in zip(questions, answers, read, strict=True):
            result.kinds[verdict.kind] += 1
            if verdict.letter is None:
                result.unread.append(_unread(question, answer, verdict))
        said = [
            (each.shown_first, verdict.letter, _preferred(each, verdict.letter))
            for each, verdict in zip(questions, read, strict=True)
            if verdict.letter is not None
        ]
        if said:
            result.labels.append(Label(questions[0].pair, questions[0].objective, tuple(said)))
        result.num_without_verdict += not said
    return result


def row_of(label: Label, *, votes: int) -> Row:
    """A label in the published layout.

    The responses are in the order in which the judge saw them at first, and `label` is the index of
    the preferred one. Where several verdicts were asked for, `wins` and `losses` are those for
    chosen and rejected, and take the place of `responses` and `label`: an outcome is said once.
    """
    pair, winner = label.pair, label.winner
    shown = label.verdicts[0][0]
    order = (shown, 1 - shown)
    row: Row = {
        "chosen": pair.whole[winner],
        "rejected": pair.whole[1 - winner],
        "Index": pair.index,
    }
    if pair.data_subset is not None:
        row["data_subset"] = pair.data_subset
    row["prompt"] = pair.prompt
    original = pair.originally_preferred
    if votes == 1:
        row["responses"] = [pair.responses[index] for index in order]
        row["original_label"] = None if original is None else order.index(original)
        row |= {"objective": label.objective, "label": order.index(winner)}
    else:
        row["original_label"] = None if original is None else int(original != winner)
        row["objective"] = label.objective
        wins = label.votes[winner]
        row |= {"wins": wins, "losses": len(label.verdicts) - wins}
    row["verdicts"] = [
        {"shown_first": names[first != winner], "preferred": names[index != winner]}
        for names in [("chosen", "rejected")]
        for first, _, index in label.verdicts
    ]
    return row


def _preferred(question: Question, letter: str) -> int:
    return preferred(question.objective, question.shown_first, letter)


def _unread(question: Question, answer: Answer, verdict: Verdict) -> Row:
    pair, first = question.pair, question.shown_first
    return {
        "Index": pair.index,
        "objective": question.objective,
        "vote": question.vote,
        "kind": verdict.kind,
        "answer": answer.text,
        "refusal": answer.refusal,
        "finish_reason": answer.finish_reason,
        "error": answer.error,
        "prompt": transcript(pair.prompt),
        "response_a": transcript(pair.responses[first]),
        "response_b": transcript(pair.responses[1 - first]),
    }

"""What a judge will be asked about a data set, before anything is sent."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.errors import UserError
from hidden_context.relabelling.judge import Answer, Judge
from hidden_context.relabelling.questions import (
    OBJECTIVES,
    Objectives,
    Question,
    objectives_of,
    questions_on,
)
from hidden_context.relabelling.read_pairs import read_pairs
from hidden_context.relabelling.verdicts import read_verdict


@dataclass(frozen=True)
class Choices:
    """What is asked about each pair; see `relabel`."""

    objective: Objectives
    votes: int
    seed: int
    ask_again: bool

    def __post_init__(self) -> None:
        if self.objective not in ("mixed", "both", *OBJECTIVES):
            raise UserError(
                f"objective is {self.objective!r}; give mixed, both, helpful or harmless."
            )
        if self.votes < 1:
            raise UserError(f"votes is {self.votes}; expected 1 or more.")


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

    def to_dict(self) -> dict[str, Any]:
        """In numbers."""
        return {
            **self.settings,
            "address": self.address,
            "num_pairs": self.num_pairs,
            "num_equal": self.num_equal,
            "num_questions": self.num_questions,
            "num_to_ask": len(self.to_ask),
            "most_tokens": self.most_tokens,
        }

    def __str__(self) -> str:
        answered = self.num_questions - len(self.to_ask)
        return (
            f"{self.source}: {self.num_pairs} pairs ({self.num_equal} of equal texts left out), "
            f"objective {self.objective}, verdicts on each: {self.votes}\n"
            f"{len(self.to_ask)} requests to {self.address} for {self.judge.model}, of at most "
            f"{self.most_tokens} tokens; {answered} answers are there already"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Of which the labels are: where the judge lives is not among them, nor its patience."""
        apart = ("base_url", "api_key_env", "timeout")
        judge = {name: value for name, value in asdict(self.judge).items() if name not in apart}
        return {
            "source": self.source,
            "judge": judge,
            "seed": self.seed,
            "objective": self.objective,
            "votes": self.votes,
        }


def planned(
    comparisons: Comparisons,
    judge: Judge,
    address: str,
    answer_to: Callable[[str], Answer | None],
    choices: Choices,
) -> Plan:
    """The questions on all pairs, and which of them `answer_to` does not know an answer to."""
    pairs = read_pairs(comparisons)
    asked = tuple(
        tuple(questions_on(pair, each, judge, votes=choices.votes, seed=choices.seed))
        for pair in pairs
        if not pair.is_of_equal_texts
        for each in objectives_of(pair, choices.objective, choices.seed)
    )
    to_ask: dict[str, Question] = {}
    for question in (question for questions in asked for question in questions):
        answer = answer_to(question.key)
        if answer is None or (choices.ask_again and read_verdict(answer).letter is None):
            to_ask.setdefault(question.key, question)
    return Plan(
        address=address,
        source=comparisons.source,
        judge=judge,
        objective=choices.objective,
        votes=choices.votes,
        seed=choices.seed,
        num_pairs=len(pairs),
        num_equal=sum(pair.is_of_equal_texts for pair in pairs),
        asked=asked,
        to_ask=tuple(to_ask.values()),
    )

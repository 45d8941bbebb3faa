"""New labels, what they cost, and what they show of the judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.rates import wilson
from hidden_context.records import as_plain, provenance
from hidden_context.relabelling.budget import Spent
from hidden_context.relabelling.judge import Answer
from hidden_context.relabelling.labels import Label, Row
from hidden_context.relabelling.plan import Plan
from hidden_context.relabelling.questions import INSTRUCTIONS, OBJECTIVES, QUESTION
from hidden_context.relabelling.verdicts import NO_VERDICT


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

    def to_dict(self) -> dict[str, Any]:
        """All but the rows, which are in the files, as JSON can hold it."""
        apart = ("rows", "unread")
        numbers = {name: value for name, value in vars(self).items() if name not in apart}
        return {"num_labels": len(self.rows), "num_unread": len(self.unread), **as_plain(numbers)}

    def __str__(self) -> str:
        spent = self.spent
        tokens = f"{spent.prompt_tokens} + {spent.answer_tokens} tokens"
        of_them = f", of {spent.uncounted} the most they can be" if spent.uncounted else ""
        cost = "" if self.cost is None else f", cost {self.cost:.4g}"
        lines = [
            f"labels: {len(self.rows)} ({self.num_without_verdict} pairs without a verdict, "
            f"{self.num_unanswered} not yet asked about)",
            f"answers: {self.kinds.get('verdict', 0)} with a verdict, {len(self.unread)} without"
            + (f" ({counted(self.kinds)})" if self.unread else ""),
            f"spent now: {spent.requests} requests, {tokens}{of_them}{cost}",
            *(f"{name}: {estimate}" for name, estimate in self.measures.items()),
        ]
        return "\n".join(lines)


def counted(kinds: Mapping[str, int]) -> str:
    """Answers without a verdict, in words."""
    return "; ".join(f"{kinds[kind]} {NO_VERDICT[kind]}" for kind in NO_VERDICT if kinds.get(kind))


def measures_of(labels: Sequence[Label]) -> dict[str, Estimate]:
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


def record_of(
    plan: Plan,
    result: Relabelled,
    answer_to: Callable[[str], Answer | None],
    endpoints: Sequence[str],
) -> dict[str, Any]:
    """How labels came about; the same however often the run was interrupted."""
    keys = {question.key for questions in plan.asked for question in questions}
    answers = [answer for key in keys if (answer := answer_to(key)) is not None]
    told = [answer.tokens for answer in answers if answer.tokens is not None]
    return {
        **provenance(),
        **plan.settings,
        "endpoints": list(endpoints),
        "question": QUESTION,
        "instructions": INSTRUCTIONS,
        "counts": {
            "pairs": plan.num_pairs,
            "equal_texts": plan.num_equal,
            "labels": len(result.rows),
            "without_verdict": result.num_without_verdict,
            "unanswered": result.num_unanswered,
            "answers": result.kinds,
        },
        "tokens": {
            "of_questions": sum(prompt for prompt, _ in told),
            "of_answers": sum(answer for _, answer in told),
            "answers_without_a_count": len(answers) - len(told),
        },
        "measures": {name: asdict(estimate) for name, estimate in result.measures.items()},
    }

"""Where rules choose different winners, and how often. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from hidden_context.aggregation.choices import Choice
from hidden_context.aggregation.rule_table import RULES
from hidden_context.aggregation.rules import winners

INTERESTING = 3
"""Alternatives from which on Borda, majority and maximin can differ on one matrix of support."""


@dataclass(frozen=True, eq=False)
class Decision:
    """What each rule says of one choice."""

    choice: Choice
    scores: Mapping[str, tuple[float, ...]]
    """By rule, one for each alternative; NaN where nothing is known."""
    winners: Mapping[str, tuple[int, ...]]
    """By rule, indices of the best; several are a tie, none means that nothing is known."""

    @property
    def differs(self) -> bool:
        """Whether two rules have not the same winners."""
        decided = {found for found in self.winners.values() if found}
        return len(decided) > 1

    @property
    def has_no_common_winner(self) -> bool:
        """Whether no alternative is best, or tied for it, by every rule."""
        decided = [set(found) for found in self.winners.values() if found]
        return bool(decided) and not set.intersection(*decided)


@dataclass(frozen=True)
class Disagreement:
    """How often some rules have different winners."""

    rules: tuple[str, ...]
    prompts: int
    """Prompts where each of the rules has a winner."""
    differ: int
    """Where the winners, with all ties, are not the same."""
    no_common_winner: int
    """Where no alternative wins, or ties, by all of the rules."""
    prompts_of_three: int
    """Prompts with three alternatives or more, among `prompts`."""
    differ_of_three: int
    """Those of them where the winners are not the same."""


def decide(choice: Choice, rules: Sequence[str]) -> Decision:
    """Scores and winners of one choice.

    Raises:
        UserError: A rule needs something that is not known; see `Evidence`.
    """
    scores = {name: RULES[name].score(choice.evidence) for name in rules}
    return Decision(
        choice,
        {name: tuple(float(score) for score in found) for name, found in scores.items()},
        {name: winners(found) for name, found in scores.items()},
    )


def disagreement(decisions: Sequence[Decision], rules: Sequence[str]) -> Disagreement:
    """How often these rules differ; see `Disagreement`."""
    chosen = [
        Decision(
            decision.choice,
            {name: decision.scores[name] for name in rules},
            {name: decision.winners[name] for name in rules},
        )
        for decision in decisions
        if all(decision.winners[name] for name in rules)
    ]
    of_three = [found for found in chosen if len(found.choice.responses) >= INTERESTING]
    return Disagreement(
        rules=tuple(rules),
        prompts=len(chosen),
        differ=sum(found.differs for found in chosen),
        no_common_winner=sum(found.has_no_common_winner for found in chosen),
        prompts_of_three=len(of_three),
        differ_of_three=sum(found.differs for found in of_three),
    )


def disagreements(decisions: Sequence[Decision], rules: Sequence[str]) -> list[Disagreement]:
    """Of each pair of rules, then, if there are more than two, of all of them."""
    sets = [*combinations(rules, 2), *([tuple(rules)] if len(rules) > 2 else [])]
    return [disagreement(decisions, pair) for pair in sets]


def most_different(decisions: Sequence[Decision], number: int) -> list[Decision]:
    """At most `number` choices whose winners differ: those with no common winner come first."""
    differing = [decision for decision in decisions if decision.differs]
    return sorted(differing, key=lambda found: not found.has_no_common_winner)[:number]

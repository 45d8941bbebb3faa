"""Where rules choose different winners, and how often. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
        return len(set(filter(None, self.winners.values()))) > 1

    @property
    def has_no_common_winner(self) -> bool:
        """Whether no alternative is best, or tied for it, by every rule."""
        decided = [set(best) for best in self.winners.values() if best]
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
        {name: tuple(map(float, of_rule)) for name, of_rule in scores.items()},
        {name: winners(of_rule) for name, of_rule in scores.items()},
    )


def disagreement(decisions: Sequence[Decision], rules: Sequence[str]) -> Disagreement:
    """How often these rules differ; see `Disagreement`."""
    decided = [
        replace(decision, winners={name: decision.winners[name] for name in rules})
        for decision in decisions
        if all(decision.winners[name] for name in rules)
    ]
    of_three = [decision for decision in decided if len(decision.choice.responses) >= INTERESTING]
    return Disagreement(
        rules=tuple(rules),
        prompts=len(decided),
        differ=sum(decision.differs for decision in decided),
        no_common_winner=sum(decision.has_no_common_winner for decision in decided),
        prompts_of_three=len(of_three),
        differ_of_three=sum(decision.differs for decision in of_three),
    )


def disagreements(decisions: Sequence[Decision], rules: Sequence[str]) -> list[Disagreement]:
    """Of each pair of rules, then, if there are more than two, of all of them."""
    sets = [*combinations(rules, 2), *([tuple(rules)] if len(rules) > 2 else [])]
    return [disagreement(decisions, pair) for pair in sets]


def most_different(decisions: Sequence[Decision], number: int) -> list[Decision]:
    """At most `number`: those with no common winner first, then others that differ, then all."""

    def agreement(decision: Decision) -> tuple[bool, bool]:
        return not decision.has_no_common_winner, not decision.differs

    return sorted(decisions, key=agreement)[:number]

"""The table of rules by name: what each maximises, and the evidence that it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from hidden_context.aggregation import rules
from hidden_context.aggregation.evidence import Evidence
from hidden_context.distributions.special import Array
from hidden_context.errors import UserError

NO_GROUPS = "needs utilities by group; give comparisons with the groups of who judged (group)."


@dataclass(frozen=True)
class Rule:
    """A social-choice rule."""

    maximises: str
    """What the winner has most of, in a few words."""
    score: Callable[[Evidence], Array]
    """Scores of the alternatives, shape `(*batch, K)`; raises UserError if something is missing."""


def _expected_utility(evidence: Evidence) -> Array:
    if evidence.expected_utility is None:
        raise UserError(
            "expected_utility needs learned distributions (column) or known contexts; "
            "comparisons do not tell how much better an alternative is."
        )
    return evidence.expected_utility


def _reference(evidence: Evidence) -> Array:
    if evidence.reference is None:
        raise UserError(
            "rule reference needs an alternative to compare with; give its number (reference)."
        )
    return rules.support_over_reference(evidence.support, evidence.reference)


def _nash(evidence: Evidence) -> Array:
    if evidence.group_utility is None:
        raise UserError(f"nash {NO_GROUPS}")
    return rules.nash_welfare(
        evidence.group_utility, evidence.group_weights, baseline=evidence.baseline
    )


def _worst_group(evidence: Evidence) -> Array:
    if evidence.group_utility is not None:
        return rules.worst_group(evidence.group_utility)
    if evidence.distribution is not None:
        return evidence.distribution.worst_context
    raise UserError(f"worst_group {NO_GROUPS}")


RULES: dict[str, Rule] = {
    "borda": Rule(
        "mean support over all alternatives, itself at ½ included",
        lambda evidence: rules.borda_count(evidence.support),
    ),
    "expected_utility": Rule("mean utility over contexts", _expected_utility),
    "copeland": Rule(
        "share of duels won by majority, an even one half",
        lambda evidence: rules.copeland(evidence.support),
    ),
    "maximin": Rule("support in the worst duel", lambda evidence: rules.maximin(evidence.support)),
    "reference": Rule("support over the reference", _reference),
    "nash": Rule("mean log of the groups' utilities (or Borda counts)", _nash),
    "worst_group": Rule("utility (or Borda count) in the worst context or group", _worst_group),
}
"""Every rule by its name; the one list that the command goes by."""

"""Aggregation: what is optimised when people differ, and where rules of social choice disagree."""

from hidden_context.aggregation.evidence import (
    Evidence,
    evidence_from_comparisons,
    evidence_from_contexts,
    evidence_from_models,
    evidence_from_outputs,
)
from hidden_context.aggregation.rule_table import RULES, Rule
from hidden_context.aggregation.rules import (
    borda_count,
    copeland,
    expected_utility,
    maximin,
    nash_welfare,
    support_over_reference,
    winners,
    worst_group,
)
from hidden_context.aggregation.support import context_support, learned_support, observed_support

__all__ = [
    "RULES",
    "Evidence",
    "Rule",
    "borda_count",
    "context_support",
    "copeland",
    "evidence_from_comparisons",
    "evidence_from_contexts",
    "evidence_from_models",
    "evidence_from_outputs",
    "expected_utility",
    "learned_support",
    "maximin",
    "nash_welfare",
    "observed_support",
    "support_over_reference",
    "winners",
    "worst_group",
]

"""Distributional preference learning: reward models that output a distribution of utility."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hidden_context.aggregation import RULES, Evidence, borda_count, copeland, maximin, winners
    from hidden_context.audits.audit import audit
    from hidden_context.audits.result import AuditResult, read_audit
    from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
    from hidden_context.comparisons.schema import Comparison
    from hidden_context.distributions import (
        FAMILIES,
        Categorical,
        Family,
        Mixture,
        Normal,
        Point,
        QuantileFunction,
        SharedContext,
        UtilityDistribution,
        make_family,
    )
    from hidden_context.errors import UserError
    from hidden_context.items import ItemFit, fit_items
    from hidden_context.likelihood.loss import preference_loss
    from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes
    from hidden_context.llm.export import export
    from hidden_context.llm.reward_model import RewardModel
    from hidden_context.llm.train import train
    from hidden_context.measures.anchoring import anchor_to_ratings
    from hidden_context.measures.estimate import Estimate
    from hidden_context.measures.evaluate import evaluate
    from hidden_context.measures.evaluation import Evaluation
    from hidden_context.measures.explained_variance import explained_variance
    from hidden_context.report.page import write_page
    from hidden_context.risk import Risk, parse_risk
    from hidden_context.scores.score_files import load_scores
    from hidden_context.scores.scores import Scores

__version__ = "0.1.0"

HOMES = {
    "aggregation": "RULES Evidence borda_count copeland maximin winners",
    "audits.audit": "audit",
    "audits.result": "AuditResult read_audit",
    "comparisons.comparisons": "Comparisons load_comparisons",
    "comparisons.schema": "Comparison",
    "distributions": "FAMILIES Categorical Family Mixture Normal Point QuantileFunction"
    " SharedContext UtilityDistribution make_family",
    "errors": "UserError",
    "items": "ItemFit fit_items",
    "likelihood.loss": "preference_loss",
    "likelihood.outcomes": "OutcomeModel Outcomes",
    "llm.export": "export",
    "llm.reward_model": "RewardModel",
    "llm.train": "train",
    "measures.anchoring": "anchor_to_ratings",
    "measures.estimate": "Estimate",
    "measures.evaluate": "evaluate",
    "measures.evaluation": "Evaluation",
    "measures.explained_variance": "explained_variance",
    "report.page": "write_page",
    "risk": "Risk parse_risk",
    "scores.score_files": "load_scores",
    "scores.scores": "Scores",
}
"""Where each name of the API lives."""
_HOME_OF = {name: home for home, names in HOMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    """Import on first use, so that neither `import hidden_context` nor `--help` need wait."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """The API, for completion in a notebook."""
    return sorted(__all__)

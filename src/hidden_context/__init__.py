"""Distributional preference learning: reward models that output a distribution of utility."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hidden_context.aggregation import RULES, Evidence, borda_count, copeland, maximin, winners
    from hidden_context.audits.audit import audit
    from hidden_context.audits.result import AuditResult, read_audit
    from hidden_context.axes import Axes, Axis, find_axes, read_axes
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
    from hidden_context.items import ItemFit, compare_families, fit_items, read_vote_file
    from hidden_context.judging.audit import audit_judges
    from hidden_context.judging.result import JudgeAudit
    from hidden_context.likelihood.loss import preference_loss
    from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes
    from hidden_context.llm.best_of import best_of
    from hidden_context.llm.export import export
    from hidden_context.llm.reward_function import reward_function
    from hidden_context.llm.reward_model import RewardModel
    from hidden_context.llm.train import train
    from hidden_context.measures.anchoring import anchor_to_ratings
    from hidden_context.measures.estimate import Estimate
    from hidden_context.measures.evaluate import evaluate
    from hidden_context.measures.evaluation import Evaluation
    from hidden_context.measures.explained_variance import explained_variance
    from hidden_context.people import People, Person, fit_people
    from hidden_context.relabelling.asking import Asking
    from hidden_context.relabelling.budget import Budget
    from hidden_context.relabelling.judge import Judge
    from hidden_context.relabelling.relabel import plan_relabelling, relabel
    from hidden_context.relabelling.result import Relabelled
    from hidden_context.report.page import write_page
    from hidden_context.reward_benchmarks.benchmark import benchmark, score_benchmark
    from hidden_context.reward_benchmarks.result import BenchmarkResult
    from hidden_context.risk import Risk, parse_risk
    from hidden_context.scores.score_files import load_scores
    from hidden_context.scores.scores import Scores
    from hidden_context.serving.options import ServingOptions
    from hidden_context.serving.server import serve
    from hidden_context.shards import Shard, UnmergedError

__version__ = "0.1.0"

HOMES = {
    "aggregation": "RULES Evidence borda_count copeland maximin winners",
    "audits.audit": "audit",
    "audits.result": "AuditResult read_audit",
    "axes": "Axes Axis find_axes read_axes",
    "comparisons.comparisons": "Comparisons load_comparisons",
    "comparisons.schema": "Comparison",
    "distributions": "FAMILIES Categorical Family Mixture Normal Point QuantileFunction"
    " SharedContext UtilityDistribution make_family",
    "errors": "UserError",
    "items": "ItemFit compare_families fit_items read_vote_file",
    "judging.audit": "audit_judges",
    "judging.result": "JudgeAudit",
    "likelihood.loss": "preference_loss",
    "likelihood.outcomes": "OutcomeModel Outcomes",
    "llm.best_of": "best_of",
    "llm.reward_function": "reward_function",
    "llm.export": "export",
    "llm.reward_model": "RewardModel",
    "llm.train": "train",
    "measures.anchoring": "anchor_to_ratings",
    "measures.estimate": "Estimate",
    "measures.evaluate": "evaluate",
    "measures.evaluation": "Evaluation",
    "measures.explained_variance": "explained_variance",
    "relabelling.asking": "Asking",
    "relabelling.budget": "Budget",
    "relabelling.judge": "Judge",
    "relabelling.relabel": "plan_relabelling relabel",
    "relabelling.result": "Relabelled",
    "people": "People Person fit_people",
    "report.page": "write_page",
    "reward_benchmarks.benchmark": "benchmark score_benchmark",
    "reward_benchmarks.result": "BenchmarkResult",
    "risk": "Risk parse_risk",
    "scores.score_files": "load_scores",
    "scores.scores": "Scores",
    "shards": "Shard UnmergedError",
    "serving.options": "ServingOptions",
    "serving.server": "serve",
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

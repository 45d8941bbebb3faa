"""Distributional preference learning: reward models that output a distribution of utility."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hidden_context.distributions import FAMILIES, Family, UtilityDistribution, make_family
    from hidden_context.likelihood.loss import accuracy, explained_variance, preference_loss

__version__ = "0.1.0"

__all__ = [
    "FAMILIES",
    "Family",
    "UtilityDistribution",
    "__version__",
    "accuracy",
    "explained_variance",
    "make_family",
    "preference_loss",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `--help` need not wait."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = (
        "likelihood.loss" if name in ("accuracy", "explained_variance", "preference_loss") else None
    )
    return getattr(import_module(f"{__name__}.{home or 'distributions'}"), name)

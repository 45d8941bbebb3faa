"""What raw outputs of a reward model mean: families of utility distributions."""

from collections.abc import Mapping
from typing import Any

from hidden_context.distributions.base import Family, check_choice
from hidden_context.distributions.categorical import Categorical
from hidden_context.distributions.mixture import Mixture
from hidden_context.distributions.normal import Normal
from hidden_context.distributions.point import Point
from hidden_context.distributions.quantile import QuantileFunction
from hidden_context.distributions.shared_context import SharedContext
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError

__all__ = [
    "FAMILIES",
    "PUBLISHED",
    "Categorical",
    "Family",
    "Mixture",
    "Normal",
    "Point",
    "QuantileFunction",
    "SharedContext",
    "UtilityDistribution",
    "family_from_dict",
    "make_family",
]

FAMILIES: dict[str, type[Family[Any]]] = {
    family.name: family
    for family in (Point, Normal, Categorical, QuantileFunction, Mixture, SharedContext)
}
"""Every family by its name; the one list that command lines and tests go by."""
PUBLISHED = ("base", "mean_and_variance", "categorical")
"""Names of the families of the DPL paper."""


def make_family(name: str, options: Mapping[str, Any] | None = None) -> Family[Any]:
    """Build a family from its name and options.

    Raises:
        UserError: The name, or an option, is unknown, or a value is out of range.
    """
    check_choice("family", name, tuple(FAMILIES))
    return FAMILIES[name].from_options(options or {})


def family_from_dict(record: Mapping[str, Any]) -> Family[Any]:
    """Inverse of `Family.to_dict`.

    Raises:
        UserError: It is no record of a family.
    """
    if not isinstance(record, Mapping):
        raise UserError(f"a family is recorded as {record!r:.80}; expected its name and options.")
    options = dict(record)
    return make_family(options.pop("name", ""), options)

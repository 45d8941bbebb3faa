"""Arrays of distributions of utility: what can be asked of them, whatever the family."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from array_api_compat import array_namespace

from hidden_context.distributions import quadrature
from hidden_context.distributions.special import Array, as_array, log_difference
from hidden_context.errors import UserError


@dataclass(frozen=True, eq=False, repr=False)
class UtilityDistribution(ABC):
    """An immutable array of distributions of utility, one for each response.

    Utility has no unit: only its order, and the scale that a family gives it, have meaning. More
    is better. All methods are differentiable for torch tensors.

    It is indexed, measured and iterated over like an array of shape `(*batch,)`. Its fields are
    arrays that begin with these axes, and have axes of parameters after them if any, or are the
    same for all responses: numbers, strings, scalar arrays.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """`(*batch,)`."""
        return tuple(self.mean.shape)

    def __getitem__(self, index: Any) -> Self:
        """Some of the distributions, by any index into an array of shape `(*batch,)`."""
        return self._with_fields(
            lambda field, ndim: field[_whole_index(index, len(field.shape) - ndim)]
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{type(self).__name__} of one response has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        mean, shape = self.mean, self.shape
        means = f", means {float(mean.min()):.4g} to {float(mean.max()):.4g}" if all(shape) else ""
        return f"<{type(self).__name__} of shape {shape}{means}>"

    def reshape(self, *shape: int) -> Self:
        """The same distributions in an array of another shape, of which one size may be -1."""
        return self._with_fields(lambda field, ndim: field.reshape(*shape, *field.shape[ndim:]))

    def _with_fields(self, change: Callable[[Array, int], Array]) -> Self:
        """A copy with changed arrays, of those that begin with the axes of the batch.

        Args:
            change: From a field and the number of these axes to the new field.
        """
        shape = self.shape
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        changed = {
            name: change(value, len(shape))
            for name, value in fields.items()
            if hasattr(value, "shape") and tuple(value.shape[: len(shape)]) == shape
        }
        return dataclasses.replace(self, **changed)

    @property
    def is_scalar(self) -> bool:
        """Whether all utilities are points, so that r² and quantiles say nothing."""
        return not bool((self.variance > 0).any())

    @property
    def atoms(self) -> tuple[Array, Array] | None:
        """The utilities that have all the probability, and the probability of each.

        Shape `(*batch, number)` each; None where utilities have a density.
        """
        return None

    def sample(self, n: int, generator: Any = None) -> Array:
        """Independent draws of every utility, shape `(n, *batch)`, by inversion of its cdf.

        Draws of `shared_context` are utilities in contexts. For torch tensors they are
        differentiable as quantiles are.

        Args:
            n: Number of draws.
            generator: A `torch.Generator`, or a `numpy.random.Generator`, or what makes one: a
                seed. Without, other draws each time.
        """
        mean, size = self.mean, (n, *self.shape)
        if hasattr(generator, "device"):
            import torch

            on = {"generator": generator, "device": generator.device}
            share = torch.rand(size, dtype=torch.float64, **on)
        else:
            share = np.random.default_rng(generator).random(size)
        xp = array_namespace(mean)
        smallest, eps = xp.finfo(mean.dtype).smallest_normal, xp.finfo(mean.dtype).eps
        return self._quantile(xp.clip(as_array(share, like=mean), smallest, 1 - eps / 2))

    def density(self, edges: Array) -> Array:
        """Mean density of utility in each cell of an axis, in 1/utility, shape `(*batch, m)`.

        P(edges[i] < U ≤ edges[i + 1]) / (edges[i + 1] - edges[i]): a point mass makes one high
        cell, and the sum of densities times widths is what the axis holds.

        Args:
            edges: Ends of m cells that follow one another, rising, shape `(m + 1,)`.
        """
        mean = self.mean
        xp = array_namespace(mean)
        edges = as_array(edges, like=mean)
        below = self.cdf(edges.reshape(-1, *(1 for _ in mean.shape)))
        mass = xp.clip(below[1:] - below[:-1], 0.0, None)
        return xp.moveaxis(mass, 0, -1) / (edges[1:] - edges[:-1])

    @property
    @abstractmethod
    def mean(self) -> Array:
        """Expected utility, shape `(*batch,)`."""

    @property
    @abstractmethod
    def variance(self) -> Array:
        """Variance of utility (squared utility), shape `(*batch,)`."""

    @property
    def std(self) -> Array:
        """Standard deviation of utility, shape `(*batch,)`."""
        return self.variance**0.5

    @abstractmethod
    def cdf(self, utility: float | Array) -> Array:
        """P(U ≤ utility), for `utility` of a shape that broadcasts against `(*batch,)`."""

    @abstractmethod
    def _quantile(self, level: float | Array) -> Array: ...

    def _cvar(self, level: float) -> Array:
        """By quadrature over the quantiles; a family that has a closed form overrides it."""
        return quadrature.mean_of_lowest(self, level)

    def quantile(self, level: float | Array) -> Array:
        """The utility that a share `level` of the hidden context stays below.

        Args:
            level: In (0, 1); a number, or an array that broadcasts against `(*batch,)`.

        Raises:
            UserError: `level` is outside (0, 1).
        """
        if isinstance(level, (int, float)):
            inside = 0 < level < 1
        else:
            inside = bool(((level > 0) & (level < 1)).all())
        if not inside:
            raise UserError(f"quantile level {level} is outside (0, 1); give a share such as 0.01.")
        return self._quantile(level)

    def cvar(self, level: float) -> Array:
        """Mean utility over the lowest share `level`: (1/level) ∫₀^level quantile(q) dq.

        Raises:
            UserError: `level` is outside (0, 1].
        """
        if not 0 < level <= 1:
            raise UserError(f"CVaR level {level} is outside (0, 1]; give a share such as 0.05.")
        return self.mean if level == 1 else self._cvar(level)

    def _entropic(self, risk_aversion: float) -> Array:
        """By quadrature over the quantiles; a family that has a closed form overrides it."""
        return quadrature.certainty_equivalent_of(self, risk_aversion)

    def entropic(self, risk_aversion: float) -> Array:
        """Certainty equivalent under exponential utility: -log E[exp(-θU)] / θ, shape `(*batch,)`.

        It falls from the mean (θ → 0) to the worst case (θ → ∞); Föllmer and Schied (2002). It is
        -inf where the expectation is infinite: a lower tail as heavy as exp(θu) or heavier.

        Raises:
            UserError: `risk_aversion`, θ in units of 1/utility, is not a positive number.
        """
        if not 0 < risk_aversion < math.inf:
            raise UserError(f"entropic risk aversion {risk_aversion} is not a positive number.")
        return self._entropic(risk_aversion)

    @property
    def worst_context(self) -> Array:
        """Utility in the context that likes the response least, shape `(*batch,)`.

        Raises:
            UserError: The family has no contexts that responses share.
        """
        raise UserError(
            f"worst_context needs contexts that responses share, which {type(self).__name__} does "
            "not have; train family shared_context."
        )

    def centered(self, prompt_ids: Sequence[Any] | Array) -> Self:
        """The same preferences without what comparisons within prompts leave free of contexts.

        Only families with contexts that responses share have such: see `SharedContextUtility`.
        """
        return self

    @abstractmethod
    def log_prob_preferred_to(self, other: Self, margin: float | Array = 0.0) -> Array:
        """log P(self beats other by more than `margin`) in nats, ties shared evenly.

        Hidden contexts are independent unless the family says otherwise. At margin 0 it is the
        preference itself; other margins make ties and graded preferences (see `outcomes`).

        Args:
            other: A batch that broadcasts against this one.
            margin: In units of utility, of either sign; broadcasts against the batches.
        """

    def log_prob_between(self, other: Self, low: float | Array, high: float | Array) -> Array:
        """log P(low < U - U' ≤ high), from the tail in which it does not cancel.

        Args:
            other: See `log_prob_preferred_to`.
            low: In units of utility, as a margin.
            high: The same, and larger.
        """
        above_low, above_high = (self.log_prob_preferred_to(other, edge) for edge in (low, high))
        below_low, below_high = (other.log_prob_preferred_to(self, -edge) for edge in (low, high))
        xp = array_namespace(above_low)
        is_upper = above_low < below_high
        larger = xp.where(is_upper, above_low, below_high)
        return log_difference(larger, xp.where(is_upper, above_high, below_low))

    def prob_preferred_to(self, other: Self) -> Array:
        """P(self ≻ other), in [0, 1]. See `log_prob_preferred_to`."""
        log_prob = self.log_prob_preferred_to(other)
        return array_namespace(log_prob).exp(log_prob)


def _whole_index(index: Any, trailing: int) -> tuple[Any, ...]:
    """An index into the first axes of an array as one that leaves `trailing` others as they are."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.asarray(part) if isinstance(part, list) else part for part in parts)
    if trailing and not any(part is Ellipsis for part in parts):
        parts = (*parts, ...)
    return (*parts, *[slice(None)] * trailing)

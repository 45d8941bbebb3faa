"""What a family of utility distributions must be able to do."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Generic, Self, TypeVar

from array_api_compat import array_namespace

from hidden_context.distributions.special import Array, as_float
from hidden_context.errors import UserError

HEAD_SCALE = 0.01
"""See `Family.head_scales`."""


@dataclass(frozen=True, eq=False)
class UtilityDistribution(ABC):
    """An immutable batch of distributions of utility, one for each response.

    Utility has no unit: only its order, and the scale that a family gives it, have meaning. More
    is better. All methods are differentiable for torch tensors.
    """

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

    @abstractmethod
    def _cvar(self, level: float) -> Array: ...

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

    @abstractmethod
    def _entropic(self, risk_aversion: float) -> Array: ...

    def entropic(self, risk_aversion: float) -> Array:
        """Certainty equivalent under exponential utility: -log E[exp(-θU)] / θ, shape `(*batch,)`.

        It falls from the mean (θ → 0) to the worst case (θ → ∞); Föllmer and Schied (2002).

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

        Args:
            prompt_ids: The prompt of each response of a one-dimensional batch.
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

    def prob_preferred_to(self, other: Self) -> Array:
        """P(self ≻ other), in [0, 1]. See `log_prob_preferred_to`."""
        log_prob = self.log_prob_preferred_to(other)
        return array_namespace(log_prob).exp(log_prob)


UtilityT = TypeVar("UtilityT", bound=UtilityDistribution)


@dataclass(frozen=True)
class Family(ABC, Generic[UtilityT]):
    """How raw model outputs are read: the only place that knows what each column means.

    A family is data: it compares by value, and is saved as JSON beside every checkpoint and score
    file. A new one is one file and its name in `FAMILIES` (docs/extending.md).
    """

    name: ClassVar[str]
    """The name on command lines and in files."""
    published_options: ClassVar[tuple[str, ...]] = ()
    """Fields that the published folder names end with, in order."""
    learnable: ClassVar[tuple[str, ...]] = ()
    """Options between -1 and 1 that training may fit with the weights (`--learn`)."""
    largest_margin: ClassVar[float] = math.inf
    """A utility is never ahead of another by more than this."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Width of the model's head."""

    @property
    def head_scales(self) -> tuple[float, ...]:
        """Share of its usual initial weights that each output of a new head starts with.

        A hundredth, as in the DPL paper's appendix, unless a family says otherwise.
        """
        return (HEAD_SCALE,) * self.num_outputs

    @abstractmethod
    def _decode(self, raw: Array) -> UtilityT: ...

    def decode(self, raw: Array) -> UtilityT:
        """Read raw outputs of shape `(*batch, num_outputs)` as distributions, at least float32.

        Raises:
            UserError: The last dimension is not `num_outputs`.
        """
        if raw.ndim == 0 or raw.shape[-1] != self.num_outputs:
            given = f"an array of shape {tuple(raw.shape)}"
            raise UserError(
                f"family {self.name} reads {self.num_outputs} outputs per response, "
                f"but was given {given}; check which model made them."
            )
        return self._decode(as_float(raw))

    def regularizer(self, utility: UtilityT) -> Array:
        """Training penalty of a batch of texts, a scalar in nats; 0 unless a family says more."""
        return 0.0 * utility.mean.mean()

    def log_prob_of_ranking(self, utilities: Sequence[UtilityT]) -> Array:
        """log-likelihood of a ranking in nats, shape `(*batch,)`.

        Unless a family has its exact probability: the pairwise composite likelihood (Lindsay 1988),
        the sum over all pairs of log P(better ≻ worse), times 2/K. So K responses count as K - 1
        comparisons, and two responses are an ordinary one.

        Args:
            utilities: Of K ≥ 2 responses, best first.
        """
        pairs = combinations(utilities, 2)
        total = sum(better.log_prob_preferred_to(worse) for better, worse in pairs)
        return total * (2 / len(utilities))

    def with_num_outputs(self, num_outputs: int) -> "Family[UtilityT]":
        """The family of this kind that reads heads of another width.

        Raises:
            UserError: This kind has one width only.
        """
        if num_outputs != self.num_outputs:
            raise UserError(
                f"family {self.name} has {self.num_outputs} outputs, but {num_outputs} were given."
            )
        return self

    def as_published(self) -> "Family[UtilityT]":
        """The same family, read as the published code trained it (its link and entropy)."""
        return self

    def with_published_moments(self) -> "Family[UtilityT]":
        """The same family with the published mean and variance, to compare printed digits."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Name and options, as JSON can hold them. Inverse of `family_from_dict`."""
        return {"name": self.name, **dataclasses.asdict(self)}

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the options that this family takes."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build the family; options that it does not have are refused by name."""
        unknown = [name for name in options if name not in cls.option_names()]
        if unknown:
            known = ", ".join(cls.option_names()) or "none"
            raise UserError(
                f"{unknown[0]} is not an option of family {cls.name} (its options: {known})."
            )
        for field in dataclasses.fields(cls):
            given = options.get(field.name, field.default)
            kinds = (int, float) if isinstance(field.default, float) else type(field.default)
            if isinstance(given, bool) or not isinstance(given, kinds):
                raise UserError(
                    f"{field.name} of family {cls.name} is {given!r}; "
                    f"expected {type(field.default).__name__}."
                )
        return cls(**options)


def check_choice(what: str, given: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices, naming them."""
    if given not in choices:
        raise UserError(f"{what} {given!r} is unknown; choose one of {', '.join(choices)}.")


def check_not_negative(what: str, given: float) -> None:
    """Refuse a negative or non-finite coefficient."""
    if not 0 <= given < float("inf"):
        raise UserError(f"{what} is {given}; give a finite number that is not negative.")

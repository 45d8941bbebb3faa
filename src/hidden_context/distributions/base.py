"""What a family of utility distributions must be able to do: read outputs, and be saved."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from hidden_context.distributions.special import Array, as_float
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_name

HEAD_SCALE = 0.01
"""See `Family.head_scales`."""

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
    mean_output: ClassVar[int | None] = None
    """The output that is the mean, where one is."""
    learnable: ClassVar[tuple[str, ...]] = ()
    """Options between -1 and 1 that training may fit with the weights (`--learn`)."""
    renamed_options: ClassVar[Mapping[str, str]] = {}
    """Options that files and flags may hold under an older name: from the old name to the new."""
    largest_margin: ClassVar[float] = math.inf
    """A utility is never ahead of another by more than this."""

    outputs_each: ClassVar[int] = 1
    """Outputs of a head, times `size_option` if there is one."""
    size_option: ClassVar[str] = ""
    """The option that says how many bins, components or the like there are."""
    smallest_size: ClassVar[int] = 1
    """Of which there are at least so many."""

    def __post_init__(self) -> None:
        size = getattr(self, self.size_option, self.smallest_size)
        if size < self.smallest_size:
            raise UserError(f"{self.size_option} is {size}; give at least {self.smallest_size}.")

    @property
    def num_outputs(self) -> int:
        """Width of the model's head."""
        return self.outputs_each * getattr(self, self.size_option, 1)

    @property
    def is_scalar(self) -> bool:
        """Whether its utilities are points, whatever the outputs; told by outputs that differ."""
        return self.decode(np.arange(float(self.num_outputs))[None]).is_scalar

    @property
    def has_density(self) -> bool:
        """Whether its utilities have a density, and not all probability at a few points."""
        return self.decode(np.arange(float(self.num_outputs))[None]).atoms is None

    @property
    def output_names(self) -> tuple[str, ...]:
        """A name for each output of the head, as other tools show it; `mean` where one is that."""
        names = [f"output_{number}" for number in range(self.num_outputs)]
        if self.mean_output is not None:
            names[self.mean_output] = "mean"
        return tuple(names)

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
            UserError: This kind has no such width.
        """
        size, rest = divmod(num_outputs, self.outputs_each)
        if self.size_option and not rest:
            return dataclasses.replace(self, **{self.size_option: size})
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
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """How pydantic reads a family from JSON: as `to_dict` writes it."""
        from pydantic_core import core_schema

        from hidden_context.distributions import family_from_dict

        return core_schema.no_info_after_validator_function(
            family_from_dict, core_schema.dict_schema(core_schema.str_schema())
        )

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the options that this family takes."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build the family; options that it does not have, or has twice, are refused by name."""
        for old, new in cls.renamed_options.items():
            if old in options and new in options:
                raise UserError(f"{old} of family {cls.name} is the old name of {new}; give one.")
        options = {cls.renamed_options.get(name, name): options[name] for name in options}
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
    """Refuse a value that is not among the choices, naming them, and the one that was meant."""
    if given not in choices:
        nearest = nearest_name(str(given), choices)
        meant = f" Did you mean {nearest}?" if nearest else ""
        raise UserError(f"{what} {given!r} is unknown; choose one of {', '.join(choices)}.{meant}")


def check_not_negative(what: str, given: float) -> None:
    """Refuse a negative or non-finite coefficient."""
    if not 0 <= given < float("inf"):
        raise UserError(f"{what} is {given}; give a finite number that is not negative.")

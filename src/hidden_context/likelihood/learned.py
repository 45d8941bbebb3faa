"""Parameters of the likelihood learned with the weights: thresholds, ν, lapse, correlation."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import OutcomeModel, check_reach

MOST = 0.999
"""Largest size of a learned option: at a correlation of 1 equal deviations leave no spread."""
LEAST_STEP = 1e-5
"""From one threshold to the next: an optimiser may try any, and at 0 there would be no ties."""
LARGEST_THRESHOLD = 50.0
"""Of a learned one, if those given are smaller. Beyond, a difference of 0 is a tie but for 4e-22,
and float32 does not tell `LEAST_STEP`."""
LARGEST_LOG = 50.0
"""Size of the logarithm of a learned ν, if that given is smaller."""
LAPSES = (1e-12, 1 - 1e-6)
"""Ends of a learned share of lapses: an optimiser may try any parameter, and 1 is no model."""


class LearnedLikelihood(nn.Module):
    """A family and an outcome model, some of whose numbers are parameters.

    Thresholds stay rising, positive, finite and below the family's largest margin, ν positive and
    finite, a lapse in (0, 1), and options of the family within (-1, 1), whatever the parameters,
    which they follow smoothly: the slope is finite everywhere and, but for rounding, nowhere 0.
    """

    def __init__(
        self,
        family: Family,
        outcome_model: OutcomeModel | None = None,
        *,
        learn_outcomes: bool = False,
        options: Sequence[str] = (),
        num_copies: int | None = None,
    ) -> None:
        """Start from the given values.

        Args:
            family: How raw outputs are read.
            outcome_model: How outcomes follow from utilities.
            learn_outcomes: Learn its thresholds, or ν, and its lapse where it is not 0.
            options: Names of options of the family to learn; see `Family.learnable`.
            num_copies: Learn so many of each, for as many heads fitted at once: `forward` then
                gives tensors of shape `(num_copies,)`.

        Raises:
            UserError: The family has no such option to learn, or cannot reach a threshold.
        """
        super().__init__()
        self.family = family
        """As it was given."""
        self._outcome_model = outcome_model or OutcomeModel()
        for option in options:
            if option not in family.learnable:
                known = ", ".join(family.learnable) or "none"
                raise UserError(
                    f"{option} of family {family.name} cannot be learned (what can: {known})."
                )
        starts = {name: _atanh(getattr(family, name) / MOST) for name in options}
        self._options = nn.ParameterDict(starts)
        copies = () if num_copies is None else (num_copies,)
        self._thresholds = self._davidson = self._lapse = None
        if learn_outcomes and self._outcome_model.has_lapse:
            share = (self._outcome_model.lapse - LAPSES[0]) / (LAPSES[1] - LAPSES[0])
            start = torch.tensor(min(max(share, LAPSES[0]), LAPSES[1])).logit()
            self._lapse = nn.Parameter(start.expand(copies).clone())
        if learn_outcomes and self._outcome_model.ties == "davidson":
            start = self._log_bound * _atanh(
                math.log(self._outcome_model.davidson) / self._log_bound
            )
            self._davidson = nn.Parameter(start.expand(copies).clone())
        elif learn_outcomes and self._outcome_model.thresholds:
            check_reach(family, self._outcome_model)
            start = self._from_thresholds(self._outcome_model.thresholds)
            self._thresholds = nn.Parameter(start.expand(*copies, -1).clone())

    @property
    def options(self) -> tuple[str, ...]:
        """Options of the family that are parameters."""
        return tuple(self._options)

    @property
    def learns_outcomes(self) -> bool:
        """Whether thresholds, ν or a lapse are parameters."""
        learned = (self._thresholds, self._davidson, self._lapse)
        return any(each is not None for each in learned)

    def forward(self) -> tuple[Family, OutcomeModel]:
        """Family and outcome model with tensors in place of what is learned."""
        family = self.family
        if self._options:
            values = {name: MOST * raw.tanh() for name, raw in self._options.items()}
            family = replace(family, **values)  # pyrefly: ignore
        model = self._outcome_model
        if self._thresholds is not None:
            thresholds = self._to_thresholds(self._thresholds).unbind(-1)
            model = replace(model, thresholds=thresholds)  # pyrefly: ignore
        if self._davidson is not None:
            log_strength = self._log_bound * (self._davidson / self._log_bound).tanh()
            davidson = log_strength.exp()
            model = replace(model, davidson=davidson)  # pyrefly: ignore
        if self._lapse is not None:
            lapse = LAPSES[0] + (LAPSES[1] - LAPSES[0]) * self._lapse.sigmoid()
            model = replace(model, lapse=lapse)  # pyrefly: ignore
        return family, model

    @torch.no_grad()
    def fitted(self) -> tuple[Family, OutcomeModel]:
        """Family and outcome model with the learned values as plain numbers."""
        return self.as_numbers(*self())

    def as_numbers(self, family: Family, model: OutcomeModel) -> tuple[Family, OutcomeModel]:
        """What `forward` gave, with plain numbers in place of scalar tensors."""
        values: dict[str, Any] = {name: float(getattr(family, name)) for name in self._options}
        thresholds = tuple(map(float, model.thresholds))
        numbers = {"davidson": float(model.davidson), "lapse": float(model.lapse)}
        model = replace(model, thresholds=thresholds, **numbers)
        return replace(family, **values), model

    @property
    def _log_bound(self) -> float:
        """Largest size of log ν."""
        return max(LARGEST_LOG, 2 * abs(math.log(self._outcome_model.davidson)))

    @property
    def _bounds(self) -> tuple[float, float]:
        """What thresholds approach, and by how much they rise at least, which float32 can tell."""
        given = self._outcome_model.thresholds
        bound = min(self.family.largest_margin, max(LARGEST_THRESHOLD, 2 * given[-1]))
        return bound, LEAST_STEP * max(1.0, bound / LARGEST_THRESHOLD)

    def _to_thresholds(self, raw: Tensor) -> Tensor:
        """B (1 - exp(-Σ softplus / B)), and a least step more for each."""
        (bound, least), number = self._bounds, raw.shape[-1]
        room = bound - (number + 1) * least
        rising = (softplus(raw) / room).cumsum(-1)
        return -room * torch.expm1(-rising) + least * torch.arange(1, number + 1).to(raw)

    def _from_thresholds(self, thresholds: Sequence[float]) -> Tensor:
        """Inverse of `_to_thresholds`; thresholds nearer to each other, or to the bound, move."""
        (bound, least), number = self._bounds, len(thresholds)
        room = bound - (number + 1) * least
        given = torch.tensor(thresholds, dtype=torch.float64)
        above = (given - least * torch.arange(1, number + 1)).clamp(0, (1 - LEAST_STEP) * room)
        rising = -room * torch.log1p(-above / room)
        steps = rising.diff(prepend=rising.new_zeros(1)).clamp_min(LEAST_STEP / 10)
        return (steps + torch.log(-torch.expm1(-steps))).float()


def _atanh(share: float) -> Tensor:
    """Where tanh is `share`; of what is at an end or beyond, near it."""
    return torch.tensor(min(max(share, -MOST), MOST)).atanh()

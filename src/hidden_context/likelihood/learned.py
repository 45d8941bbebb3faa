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
from hidden_context.likelihood.outcomes import OutcomeModel

MOST = 0.999
"""Largest size of a learned option: at a correlation of 1 equal deviations leave no spread."""
LEAST_STEP = 1e-5
"""From one threshold to the next: an optimiser may try any, and at 0 there would be no ties."""
LAPSES = (1e-12, 1 - 1e-6)
"""Ends of a learned share of lapses: an optimiser may try any parameter; 1 is no model, and at 0
the slope is not a number."""


class LearnedLikelihood(nn.Module):
    """A family and an outcome model, some of whose numbers are parameters.

    Thresholds stay rising, positive and below the family's largest margin, ν stays positive, a
    lapse in (0, 1), and options of the family within (-1, 1), whatever the parameters.
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
            UserError: The family has no such option to learn.
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
        starts = {name: torch.tensor(getattr(family, name) / MOST).atanh() for name in options}
        self._options = nn.ParameterDict(starts)
        copies = () if num_copies is None else (num_copies,)
        self._thresholds = self._davidson = self._lapse = None
        if learn_outcomes and self._outcome_model.has_lapse:
            start = torch.tensor(self._outcome_model.lapse).logit()
            self._lapse = nn.Parameter(start.expand(copies).clone())
        if learn_outcomes and self._outcome_model.ties == "davidson":
            start = torch.tensor(self._outcome_model.davidson).log()
            self._davidson = nn.Parameter(start.expand(copies).clone())
        elif learn_outcomes and self._outcome_model.thresholds:
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
            model = replace(model, davidson=self._davidson.exp())  # pyrefly: ignore
        if self._lapse is not None:
            lapse = self._lapse.sigmoid().clamp(*LAPSES)
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

    def _to_thresholds(self, raw: Tensor) -> Tensor:
        steps, bound = softplus(raw).clamp_min(LEAST_STEP), self.family.largest_margin
        rising = steps.cumsum(-1)
        return rising if bound == math.inf else bound * -torch.expm1(-rising / bound)

    def _from_thresholds(self, thresholds: Sequence[float]) -> Tensor:
        """Inverse of `_to_thresholds`."""
        rising, bound = torch.tensor(thresholds), self.family.largest_margin
        if bound != math.inf:
            rising = -bound * torch.log1p(-rising / bound)
        steps = rising.diff(prepend=torch.zeros(1))
        return steps + torch.log(-torch.expm1(-steps))

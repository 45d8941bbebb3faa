"""The objective of `mean_and_variance` where a tie is half a win, in closed form, without torch."""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import log_ndtr

from hidden_context.distributions import Family
from hidden_context.distributions.normal import LOGISTIC_SLOPES, Normal
from hidden_context.distributions.special import SMALLEST_STD
from hidden_context.items.objective import Objective, sigmoid
from hidden_context.items.summed_votes import SummedVotes
from hidden_context.likelihood.outcomes import OutcomeModel


class NormalPairs(Objective):
    """P(a ≻ b) is the link of z = (μ_a − μ_b)/s, s² = σ_a² + σ_b², σ = softplus(output)."""

    num_outputs, num_shared = 2, 0

    def __init__(
        self, family: Normal, outcome_model: OutcomeModel, votes: SummedVotes, ridge: float
    ) -> None:
        """`family` has no correlation."""
        super().__init__(votes, ridge)
        self.family, self.outcome_model = family, outcome_model
        self._wins, self._losses = self.wins_and_losses

    def family_of(self, x: np.ndarray) -> tuple[Family, OutcomeModel]:
        return self.family, self.outcome_model

    def start(self, raw: np.ndarray) -> np.ndarray:
        """Parameters from raw outputs."""
        return raw.ravel()

    def _link(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log P of the first, its slope, and minus the slope of that."""
        slope = LOGISTIC_SLOPES.get(self.family.link)
        if slope is None:
            log = log_ndtr(z)
            mills = np.exp(-z * z / 2 - math.log(2 * math.pi) / 2 - log)
            return log, mills, mills * (z + mills)
        behind = sigmoid(-slope * z)
        return -np.logaddexp(0, -slope * z), slope * behind, slope**2 * behind * (1 - behind)

    def _z(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """z, s, and both deviations."""
        mean, raw = self.raw_of(x).T
        std = np.maximum(np.logaddexp(0, raw), SMALLEST_STD)
        a, b = std[self.first], std[self.second]
        spread = np.hypot(a, b)
        return (mean[self.first] - mean[self.second]) / spread, spread, a, b

    def loss(self, x: np.ndarray) -> float:
        z = self._z(x)[0]
        return -float(self._wins @ self._link(z)[0] + self._losses @ self._link(-z)[0])

    def _of_z(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """z, s, dz/d(μ_a, raw_a, μ_b, raw_b) of shape `(N, 4)`, and shares a/s, b/s times slopes.

        The last, shape `(N, 2)`, are dσ/d(raw) σ/s of both.
        """
        z, spread, a, b = self._z(x)
        raw = self.raw_of(x)[:, 1]
        slope = sigmoid(raw) * (np.logaddexp(0, raw) > SMALLEST_STD)
        shares = np.stack([slope[self.first] * a, slope[self.second] * b], 1) / spread[:, None] ** 2
        one = 1 / spread
        return z, spread, np.stack([one, -z * shares[:, 0], -one, -z * shares[:, 1]], 1), shares

    def _slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative of the loss by z."""
        (_, up, bend_up), (_, down, bend_down) = self._link(z), self._link(-z)
        first = self._losses * down - self._wins * up
        return first, self._wins * bend_up + self._losses * bend_down

    def gradient_by_pair(self, x: np.ndarray) -> np.ndarray:
        z, _, by_output, _ = self._of_z(x)
        return self._slopes(z)[0][:, None] * by_output

    def derivatives_by_pair(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, spread, by_output, shares = self._of_z(x)
        first, second = self._slopes(z)
        bend = np.zeros((len(z), 4, 4))  # of z
        for at, own in enumerate((1, 3)):
            bend[:, 0, own] = bend[:, own, 0] = -shares[:, at] / spread
            bend[:, 2, own] = bend[:, own, 2] = shares[:, at] / spread
            bend[:, own, own] = 3 * z * shares[:, at] ** 2 - z * self._own_bend(x, at, spread)
        bend[:, 1, 3] = bend[:, 3, 1] = 3 * z * shares[:, 0] * shares[:, 1]
        curved = by_output[:, :, None] * by_output[:, None, :] * second[:, None, None]
        return first[:, None] * by_output, curved + first[:, None, None] * bend

    def _own_bend(self, x: np.ndarray, at: int, spread: np.ndarray) -> np.ndarray:
        """(σ'² + σ σ'')/s² of one of the two."""
        raw = self.raw_of(x)[(self.first, self.second)[at], 1]
        std, slope = np.logaddexp(0, raw), sigmoid(raw)
        return (std > SMALLEST_STD) * (slope**2 + std * slope * (1 - slope)) / spread**2

    def scores_by_pair(self, x: np.ndarray) -> np.ndarray:
        z, _, by_output, _ = self._of_z(x)
        win, loss = self._link(z)[1], -self._link(-z)[1]
        by_z = np.stack([loss, (win + loss) / 2, win], axis=1)
        return by_z[:, :, None] * by_output[:, None, :]

    def product(self, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return self.product_by_differences(x)


def is_normal_pairs(family: Family, model: OutcomeModel, num_grades: int) -> bool:
    """Whether the likelihood is that of `NormalPairs`."""
    plain = isinstance(family, Normal) and family.correlation == 0
    return plain and model.ties == "half" and num_grades == 1 and not model.has_lapse

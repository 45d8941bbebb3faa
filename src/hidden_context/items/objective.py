"""The loss of raw outputs, and its derivatives by pairs of items: what Newton's steps need.

Votes on a pair are sufficient by their numbers, so everything is a sum over the pairs that were
compared: of p = 2d + q numbers each, the d outputs of both items and q numbers that all pairs
share (thresholds, ν, options that are learned). Losses are nats over all votes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from hidden_context.distributions import Family, Point
from hidden_context.items.summed_votes import SummedVotes
from hidden_context.likelihood.outcomes import OutcomeModel

if TYPE_CHECKING:
    from hidden_context.likelihood.learned import LearnedLikelihood

MOST_DENSE = 3000
"""Parameters whose second derivatives are held as a matrix."""
MOST_AT_ONCE = 2**23
"""Numbers of second derivatives by pairs that are held at one time."""

TABLE_FROM = 1 / 2
"""Share of all ordered pairs with votes from which all are computed: what a family needs of an item
alone is then computed once."""
DIFFERENCE = 1e-6
"""Of an output, by which derivatives are told from one side: right to some 1e-6 of their size."""
WIDE_DIFFERENCE = 1e-4
"""From both sides: right to some 1e-9."""


class Objective(ABC):
    """Minus log-likelihood plus ridge/2 times the sum of squares of all raw outputs."""

    num_outputs: int
    """d."""
    num_shared: int
    """q."""

    def __init__(self, votes: SummedVotes, ridge: float) -> None:
        """Weights of pairs are scaled to sum to the number of votes."""
        summed = votes.summed
        self.first, self.second = summed.first, summed.second
        self.num_items, self.ridge = votes.num_items, ridge
        self.votes = votes.by_grade

    @property
    def wins_and_losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair's first, where a tie is half of both and there are no strengths, `(N,)`."""
        halves = self.votes[:, 1] / 2
        return self.votes[:, 2] + halves, self.votes[:, 0] + halves

    @property
    def num_parameters(self) -> int:
        """P: all raw outputs, item by item, then what is shared."""
        return self.num_items * self.num_outputs + self.num_shared

    def raw_of(self, x: np.ndarray) -> np.ndarray:
        """Shape `(items, d)`."""
        size = self.num_items * self.num_outputs
        return x[:size].reshape(self.num_items, self.num_outputs)

    @abstractmethod
    def family_of(self, x: np.ndarray) -> tuple[Family, OutcomeModel]:
        """With plain numbers."""

    @abstractmethod
    def loss(self, x: np.ndarray) -> float:
        """Without the ridge, in nats over all votes."""

    @abstractmethod
    def derivatives_by_pair(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second of the loss, by pair, `(N, p)` and `(N, p, p)`, without the ridge."""

    @abstractmethod
    def gradient_by_pair(self, x: np.ndarray) -> np.ndarray:
        """The first alone, shape `(N, p)`."""

    @abstractmethod
    def scores_by_pair(self, x: np.ndarray) -> np.ndarray:
        """Of log P of each grade, shape `(N, 2G + 1, p)`."""

    @abstractmethod
    def product(self, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The second derivatives times a direction, without the matrix; the ridge included."""

    def product_by_differences(self, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """See `product`; of gradients, to some 1e-6."""
        gradient = self.gradient(x)

        def times(direction: np.ndarray) -> np.ndarray:
            length = np.abs(direction).max()
            if length == 0:
                return np.zeros_like(direction)
            step = DIFFERENCE / length
            return (self.gradient(x + step * direction) - gradient) / step

        return times

    def value(self, x: np.ndarray) -> float:
        """What is minimised."""
        return self.loss(x) + self.penalty(x)

    def penalty(self, x: np.ndarray) -> float:
        """That of the ridge; infinite far out, where separable votes may send a step."""
        if not self.ridge:
            return 0.0
        with np.errstate(over="ignore"):
            return self.ridge / 2 * float(np.square(self.raw_of(x)).sum())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Shape `(P,)`."""
        return self._with_ridge(x, self.gathered(self.gradient_by_pair(x)))

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Both of what is minimised."""
        return self.value(x), self.gradient(x)

    def derivatives(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second, `(P,)` and `(P, P)`."""
        first, second = self.derivatives_by_pair(x)
        return self._with_ridge(x, self.gathered(first)), self.ridged(self.assembled(second))

    def ridged(self, matrix: np.ndarray) -> np.ndarray:
        """Second derivatives with those of the ridge, in place."""
        own = np.arange(self.num_parameters - self.num_shared)
        matrix[own, own] += self.ridge
        return matrix

    def _with_ridge(self, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        gradient[: len(x) - self.num_shared] += self.ridge * x[: len(x) - self.num_shared]
        return gradient

    def _sum_by_item(self, items: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sums of the rows of `values`, `(N, m)`, for each item, `(items, m)`."""
        return np.stack([np.bincount(items, v, self.num_items) for v in values.T], axis=1)

    def gathered(self, by_pair: np.ndarray) -> np.ndarray:
        """Sum over pairs of `(N, p)` as a vector `(P,)`."""
        d = self.num_outputs
        raw = self._sum_by_item(self.first, by_pair[:, :d])
        raw += self._sum_by_item(self.second, by_pair[:, d : 2 * d])
        return np.concatenate([raw.ravel(), by_pair[:, 2 * d :].sum(0)])

    def assembled(self, by_pair: np.ndarray) -> np.ndarray:
        """Sum over pairs of symmetric `(N, p, p)` as a matrix `(P, P)`."""
        d, q, k = self.num_outputs, self.num_shared, self.num_items
        a, b, rest = slice(0, d), slice(d, 2 * d), slice(2 * d, 2 * d + q)
        flat = (-1, d * d)
        blocks = np.zeros((k, k, d, d))
        blocks[self.first, self.second] += by_pair[:, a, b]  # no ordered pair comes twice
        blocks += blocks.transpose(1, 0, 3, 2)
        own = self._sum_by_item(self.first, by_pair[:, a, a].reshape(flat))
        own += self._sum_by_item(self.second, by_pair[:, b, b].reshape(flat))
        blocks[np.arange(k), np.arange(k)] += own.reshape(k, d, d)
        matrix = np.zeros((k * d + q, k * d + q))
        matrix[: k * d, : k * d] = blocks.transpose(0, 2, 1, 3).reshape(k * d, k * d)
        if q:
            flat = (-1, d * q)
            mixed = self._sum_by_item(self.first, by_pair[:, a, rest].reshape(flat))
            mixed += self._sum_by_item(self.second, by_pair[:, b, rest].reshape(flat))
            matrix[: k * d, k * d :] = mixed.reshape(k * d, q)
            matrix[k * d :, : k * d] = mixed.reshape(k * d, q).T
            matrix[k * d :, k * d :] = by_pair[:, rest, rest].sum(0)
        return matrix


class BradleyTerry(Objective):
    """That of `base` where a tie is half a win and half a loss, in closed form, without torch."""

    num_outputs, num_shared = 1, 0
    outcome_model = OutcomeModel()
    """As it was given; thresholds of strengths that nobody told are in it."""

    def family_of(self, x: np.ndarray) -> tuple[Family, OutcomeModel]:
        return Point(), self.outcome_model

    def _ahead(self, x: np.ndarray) -> np.ndarray:
        return x[self.first] - x[self.second]

    def loss(self, x: np.ndarray) -> float:
        ahead, (wins, losses) = self._ahead(x), self.wins_and_losses
        return float(wins @ np.logaddexp(0, -ahead) + losses @ np.logaddexp(0, ahead))

    def gradient_by_pair(self, x: np.ndarray) -> np.ndarray:
        prob, (wins, losses) = sigmoid(self._ahead(x)), self.wins_and_losses
        slope = losses * prob - wins * (1 - prob)
        return np.stack([slope, -slope], axis=1)

    def _curvature(self, x: np.ndarray) -> np.ndarray:
        prob = sigmoid(self._ahead(x))
        return self.votes.sum(1) * prob * (1 - prob)

    def derivatives_by_pair(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
        return self.gradient_by_pair(x), self._curvature(x)[:, None, None] * signs

    def scores_by_pair(self, x: np.ndarray) -> np.ndarray:
        prob = sigmoid(self._ahead(x))
        score = np.stack([-prob, 0.5 - prob, 1 - prob], axis=1)
        return np.stack([score, -score], axis=2)

    def product(self, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        size = (self.num_items, self.num_items)
        joined = csr_array((self._curvature(x), (self.first, self.second)), shape=size)
        joined = (joined + joined.T).tocsr()
        degree = joined.sum(1) + self.ridge
        return lambda direction: degree * direction - joined @ direction


class AnyFamily(Objective):
    """That of any family and outcome model, by automatic differentiation."""

    def __init__(self, likelihood: "LearnedLikelihood", votes: SummedVotes, ridge: float) -> None:
        """`likelihood` says what is learned, and is not changed."""
        import torch

        super().__init__(votes, ridge)
        self.likelihood = likelihood
        self._shared = {
            name: parameter.detach().double() for name, parameter in likelihood.named_parameters()
        }
        self.num_outputs = likelihood.family.num_outputs
        self.num_shared = sum(parameter.numel() for parameter in self._shared.values())
        self._votes = torch.from_numpy(self.votes)
        self._first, self._second = torch.from_numpy(self.first), torch.from_numpy(self.second)
        self._table = None
        if len(self.first) >= TABLE_FROM * self.num_items**2:
            size = (self.num_items, self.num_items, self.votes.shape[1])
            self._table = torch.zeros(size, dtype=torch.float64)
            self._table[self._first, self._second] = self._votes

    def start(self, raw: np.ndarray) -> np.ndarray:
        """Parameters from raw outputs and the likelihood as it is."""
        shared = [parameter.numpy().ravel() for parameter in self._shared.values()]
        return np.concatenate([raw.ravel(), *shared])

    def _read(self, shared: Any) -> tuple[Family, OutcomeModel]:
        """Family and outcome model from the shared numbers, shape `(..., q)`."""
        import torch

        values, start = {}, 0
        for name, parameter in self._shared.items():
            part = shared[..., start : start + parameter.numel()]
            values[name] = part.reshape((*shared.shape[:-1], *parameter.shape))
            start += parameter.numel()
        return torch.func.functional_call(self.likelihood, values, ())

    def _by_grade(self, first: Any, second: Any, model: OutcomeModel, votes: Any) -> Any:
        """log P of each grade that somebody chose, else 0, `(..., 2G + 1)` as `votes` are."""
        import torch

        from hidden_context.likelihood.outcomes import log_prob_of_grade

        grades = votes.shape[-1] // 2
        if grades == 1:
            model = model.collapse_grades()
        columns = []
        for grade in range(-grades, grades + 1):
            seen = votes[..., grade + grades] > 0
            if not bool(seen.any()):
                columns.append(torch.zeros(seen.shape, dtype=torch.float64))
                continue
            either = (-1, 1) if grade == 0 and model.ties == "half" else (grade,)
            logs = [log_prob_of_grade(first, second, each, model) for each in either]
            mean = logs[0] if len(logs) == 1 else (logs[0] + logs[1]) / 2
            columns.append(torch.where(seen, mean, torch.zeros_like(mean)))
        return torch.stack(columns, dim=-1)

    def _log_probs(self, leaves: Any, keep: slice) -> Any:
        """Of pairs whose outputs are apart from those of others; see `_by_grade`."""
        d = self.num_outputs
        family, model = self._read(leaves[:, 2 * d :])
        first, second = family.decode(leaves[:, :d]), family.decode(leaves[:, d : 2 * d])
        return self._by_grade(first, second, model, self._votes[keep])

    def _leaves(self, x: Any, keep: slice) -> Any:
        d = self.num_outputs
        raw = x[: self.num_items * d].reshape(self.num_items, d)
        first, second = raw[self._first[keep]], raw[self._second[keep]]
        import torch

        shared = x[self.num_items * d :].expand(len(first), self.num_shared)
        return torch.cat([first, second, shared], dim=1)

    def family_of(self, x: np.ndarray) -> tuple[Family, OutcomeModel]:
        import torch

        shared = torch.from_numpy(x[self.num_items * self.num_outputs :].copy())
        family, model = self._read(shared)
        return self.likelihood.as_numbers(family, model)

    def _loss(self, x: Any) -> Any:
        """Each item is decoded once; where most pairs are compared, by rows against columns."""
        size = self.num_items * self.num_outputs
        family, model = self._read(x[size:])
        utility = family.decode(x[:size].reshape(self.num_items, self.num_outputs))
        if self._table is None:
            votes, first, second = self._votes, utility[self._first], utility[self._second]
        else:
            votes, first, second = self._table, utility.reshape(-1, 1), utility.reshape(1, -1)
        return -(votes * self._by_grade(first, second, model, votes)).sum()

    def loss(self, x: np.ndarray) -> float:
        import torch

        with torch.no_grad():
            return float(self._loss(torch.from_numpy(x)))

    def gradient_by_pair(self, x: np.ndarray) -> np.ndarray:
        import torch

        everything = slice(None)
        return self._slopes(self._leaves(torch.from_numpy(x), everything), everything).numpy()

    def _slopes(self, leaves: Any, keep: slice) -> Any:
        import torch

        leaves = leaves.detach().requires_grad_()
        loss = -(self._votes[keep] * self._log_probs(leaves, keep)).sum()
        return torch.autograd.grad(loss, leaves)[0]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        import torch

        at = torch.from_numpy(x.copy()).requires_grad_()
        loss = self._loss(at)
        (gradient,) = torch.autograd.grad(loss, at)
        value = float(loss.detach()) + self.penalty(x)
        return value, self._with_ridge(x, gradient.numpy().copy())

    def _chunks(self, of_each: int) -> list[slice]:
        size = max(1, MOST_AT_ONCE // of_each)
        return [slice(at, at + size) for at in range(0, len(self.first), size)]

    def derivatives_by_pair(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The second by differences of the first, since families need not have them exactly."""
        import torch

        width = 2 * self.num_outputs + self.num_shared
        firsts, seconds = [], []
        for keep in self._chunks(width * width):
            leaves = self._leaves(torch.from_numpy(x), keep)
            first = self._slopes(leaves, keep)
            second = torch.empty(len(leaves), width, width, dtype=torch.float64)
            for place in range(width):
                step = torch.zeros(width, dtype=torch.float64)
                step[place] = WIDE_DIFFERENCE
                ahead, behind = (self._slopes(leaves + s * step, keep) for s in (1, -1))
                second[:, place] = (ahead - behind) / (2 * WIDE_DIFFERENCE)
            firsts.append(first.numpy())
            seconds.append(((second + second.transpose(1, 2)) / 2).numpy())
        return np.concatenate(firsts), np.concatenate(seconds)

    def scores_by_pair(self, x: np.ndarray) -> np.ndarray:
        import torch

        everything = slice(None)
        leaves = self._leaves(torch.from_numpy(x), everything).requires_grad_()
        logs = self._log_probs(leaves, everything)
        scores = [
            torch.autograd.grad(column.sum(), leaves, retain_graph=True)[0]
            if column.requires_grad
            else torch.zeros_like(leaves)
            for column in logs.unbind(1)
        ]
        return torch.stack(scores, dim=1).numpy()

    def product(self, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return self.product_by_differences(x)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """The logistic function."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-values))


def is_bradley_terry(family: Family, model: OutcomeModel, num_grades: int) -> bool:
    """Whether the likelihood is that of `BradleyTerry`."""
    plain = model.ties == "half" and num_grades == 1 and not model.has_lapse
    return plain and family.name == "base"

"""What answers may cost, and what they did: the budget of one run is never exceeded."""

import math
import threading
from dataclasses import dataclass

from hidden_context.errors import UserError

A_MILLION = 1_000_000
"""Tokens that a price is for."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one run may cost; the next one has as much again."""

    requests: int | None = None
    """Requests sent, those that failed and were tried again with them."""
    tokens: int | None = None
    """Of questions and answers together."""
    cost: float | None = None
    """In the currency of the prices."""
    prompt_price: float | None = None
    """Of a million tokens of questions."""
    answer_price: float | None = None
    """Of a million tokens of answers."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 <= value < math.inf:
                raise UserError(f"budget: {name} is {value}; expected a number that is 0 or more.")
        prices = (self.prompt_price, self.answer_price)
        if None in prices and (self.cost is not None or prices != (None, None)):
            raise UserError(
                "budget: costs follow from prompt_price and answer_price, of a million tokens each;"
                " give both."
            )

    def cost_of(self, prompt_tokens: int, answer_tokens: int) -> float | None:
        """Cost of so many tokens; None without prices."""
        if self.prompt_price is None or self.answer_price is None:
            return None
        cost = prompt_tokens * self.prompt_price + answer_tokens * self.answer_price
        return cost / A_MILLION


@dataclass
class Spent:
    """What was sent and came back."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    uncounted: int = 0
    """Requests whose tokens the endpoint did not tell: counted at the most that they can have."""


class Purse:
    """A budget that several threads spend.

    Before a request is sent, the most that it can cost is laid aside; afterwards what it did cost
    is taken from that. So no answer that is under way can exceed the budget.
    """

    def __init__(self, budget: Budget) -> None:
        """Nothing is spent yet."""
        self.budget, self.spent = budget, Spent()
        self._aside = {"tokens": 0.0, "cost": 0.0}
        self._under_way = 0
        self._changed = threading.Condition()
        self.exhausted: str | None = None
        """What was reached first, in words."""

    def lay_aside(self, most: tuple[int, int]) -> bool:
        """Before a request of at most so many tokens (of question and answer).

        False if the budget does not allow it, whatever those that are under way will cost.
        """
        with self._changed:
            while (reached := self._reached(most)) is not None:
                if not self._under_way or reached.startswith("requests"):
                    self.exhausted = reached
                    return False
                self._changed.wait()
            self._change_aside(most, 1)
            self._under_way += 1
            self.spent.requests += 1
            return True

    def put_back(self, most: tuple[int, int]) -> None:
        """Of a request that was not sent after all."""
        with self._changed:
            self.spent.requests -= 1
        self._return(most)

    def settle(self, most: tuple[int, int], tokens: tuple[int, int] | None) -> None:
        """After the request: what it cost, or None where that is unknown and may be the most."""
        prompt_tokens, answer_tokens = most if tokens is None else tokens
        with self._changed:
            self.spent.prompt_tokens += prompt_tokens
            self.spent.answer_tokens += answer_tokens
            self.spent.uncounted += tokens is None
        self._return(most)

    @property
    def cost(self) -> float | None:
        """Of what is settled; None without prices."""
        return self.budget.cost_of(self.spent.prompt_tokens, self.spent.answer_tokens)

    def _return(self, most: tuple[int, int]) -> None:
        with self._changed:
            self._change_aside(most, -1)
            self._under_way -= 1
            self._changed.notify_all()

    def _change_aside(self, most: tuple[int, int], sign: int) -> None:
        self._aside["tokens"] += sign * sum(most)
        self._aside["cost"] += sign * (self.budget.cost_of(*most) or 0.0)

    def _reached(self, most: tuple[int, int]) -> str | None:
        """What one more request would exceed."""
        budget, spent = self.budget, self.spent
        if budget.requests is not None and spent.requests >= budget.requests:
            return f"requests: {spent.requests} of {budget.requests}"
        tokens = spent.prompt_tokens + spent.answer_tokens
        next_tokens = tokens + self._aside["tokens"] + sum(most)
        if budget.tokens is not None and next_tokens > budget.tokens:
            return f"tokens: {tokens} of {budget.tokens}, and the next may have {sum(most)}"
        if budget.cost is not None:
            cost, next_cost = self.cost or 0.0, self.budget.cost_of(*most) or 0.0
            if cost + self._aside["cost"] + next_cost > budget.cost:
                return f"cost: {cost:.4g} of {budget.cost:g}, and the next may be {next_cost:.2g}"
        return None

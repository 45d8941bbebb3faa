"""The exact McNemar test against whole numbers and published examples."""

import math
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.measures.mcnemar import mcnemar


def decisions(both: int, first: int, second: int) -> tuple[list[float], list[float]]:
    return (
        [1.0] * both + [1.0] * first + [0.0] * second,
        [1.0] * both + [0.0] * first + [1.0] * second,
    )


@pytest.mark.parametrize(
    ("first", "second"), [(0, 1), (5, 5), (3, 9), (12, 1), (0, 40), (210, 260), (3000, 3200)]
)
def test_p_is_the_sum_of_binomial_coefficients(first: int, second: int) -> None:
    """min(1, 2 Σ_{k ≤ min} C(d, k) / 2^d) in exact fractions."""
    test = mcnemar(*decisions(10, first, second))
    differ = first + second
    tail = Fraction(2 * sum(comb(differ, k) for k in range(min(first, second) + 1)), 2**differ)
    assert test.p_value == pytest.approx(float(min(tail, Fraction(1))), rel=1e-10)
    assert (test.first_better, test.second_better) == (first, second)


@pytest.mark.parametrize(
    ("first", "second", "p"), [(1, 9, 22 / 1024), (2, 8, 112 / 1024), (0, 5, 2 / 32), (4, 4, 1.0)]
)
def test_p_of_small_tables_is_that_of_sign_test_tables(first: int, second: int, p: float) -> None:
    assert mcnemar(*decisions(0, first, second)).p_value == pytest.approx(p, rel=1e-12)


def test_the_order_of_the_models_and_shared_decisions_do_not_matter() -> None:
    a, b = decisions(0, 4, 11)
    assert mcnemar(a, b).p_value == mcnemar(b, a).p_value
    assert mcnemar(a, b).p_value == mcnemar(*decisions(1000, 4, 11)).p_value


def test_equal_decisions_are_no_evidence() -> None:
    assert mcnemar([1, 0, 0.5], [1, 0, 0.5]).p_value == 1


def test_a_tie_is_better_than_a_mistake_and_worse_than_a_success() -> None:
    test = mcnemar([0.5, 0.5, 0.5], [0.0, 0.0, 1.0])
    assert (test.first_better, test.second_better, test.p_value) == (2, 1, 1.0)


def test_many_comparisons_neither_overflow_nor_underflow() -> None:
    """The normal law with continuity correction is exact to 1e-4 at d = 10,000."""
    test = mcnemar(*decisions(0, 4900, 5100))
    assert test.p_value == pytest.approx(math.erfc((200 - 1) / 100 / math.sqrt(2)), abs=1e-4)
    assert mcnemar(np.ones(5000), np.zeros(5000)).p_value == 0.0  # 2^-4999 is below all floats


def test_decisions_of_different_comparisons_are_refused() -> None:
    with pytest.raises(UserError, match="expected 2"):
        mcnemar([1, 0], [1])
    with pytest.raises(UserError, match="at least one"):
        mcnemar([], [])

"""The exact McNemar test against scipy's binomial test."""

import numpy as np
import pytest
from scipy import stats

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
def test_p_is_that_of_the_binomial_test(first: int, second: int) -> None:
    found = mcnemar(*decisions(10, first, second))
    expected = stats.binomtest(first, first + second).pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-10)
    assert (found.first_better, found.second_better) == (first, second)


def test_the_order_of_the_models_and_shared_decisions_do_not_matter() -> None:
    a, b = decisions(0, 4, 11)
    assert mcnemar(a, b).p_value == mcnemar(b, a).p_value
    assert mcnemar(a, b).p_value == mcnemar(*decisions(1000, 4, 11)).p_value


def test_equal_decisions_are_no_evidence() -> None:
    assert mcnemar([1, 0, 0.5], [1, 0, 0.5]).p_value == 1


def test_a_tie_is_better_than_a_mistake_and_worse_than_a_success() -> None:
    found = mcnemar([0.5, 0.5, 0.5], [0.0, 0.0, 1.0])
    assert (found.first_better, found.second_better) == (2, 1)


def test_many_comparisons_neither_overflow_nor_underflow() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, size=(2, 20_000))
    assert 0 < mcnemar(a, b).p_value <= 1
    assert mcnemar(np.ones(5000), np.zeros(5000)).p_value == 0.0  # 2^-4999 is below all floats


def test_decisions_of_different_comparisons_are_refused() -> None:
    with pytest.raises(UserError, match="expected 2"):
        mcnemar([1, 0], [1])
    with pytest.raises(UserError, match="at least one"):
        mcnemar([], [])

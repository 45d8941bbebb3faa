"""Rows by prompt, what every measure refuses, and what none needs."""

import pkgutil
import subprocess
import sys

import numpy as np
import pytest

import hidden_context.measures
from hidden_context.errors import UserError
from hidden_context.measures.checks import (
    finite_vector,
    log_probabilities,
    not_negative,
    probabilities,
)
from hidden_context.measures.prompts import group_prompts, with_several_rows

PROMPTS = ["tea", "bread", "tea", "jam", "bread", "tea"]


def test_sums_and_means_are_those_of_each_prompt_in_sorted_order() -> None:
    groups = group_prompts(PROMPTS)
    values = np.array([[1.0, 2, 4, 8, 16, 32], [0, 1, 0, 1, 0, 1]])
    np.testing.assert_array_equal(groups.sums(values), [[18, 8, 37], [1, 1, 1]])
    np.testing.assert_allclose(groups.means(values[0]), [9, 8, 37 / 3])
    assert groups.num_prompts == 3


def test_every_two_rows_of_a_prompt_are_a_pair_once() -> None:
    first, second = group_prompts(PROMPTS).pairs()
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    assert sorted(pairs) == [(0, 2), (0, 5), (1, 4), (2, 5)]


def test_a_prompt_with_one_row_has_nothing_within() -> None:
    np.testing.assert_array_equal(with_several_rows(group_prompts(PROMPTS)), [0, 1, 2, 4, 5])
    with pytest.raises(UserError, match="no prompt has two"):
        with_several_rows(group_prompts(["a", "b"]))


def test_prompts_of_another_length_or_none_are_refused() -> None:
    with pytest.raises(UserError, match=r"expected \(3,\)"):
        group_prompts(["a", "b"], num_rows=3)
    with pytest.raises(UserError, match="at least 1"):
        group_prompts([])


@pytest.mark.parametrize("values", [[], [[1.0]], 1.0])
def test_what_is_no_vector_is_refused(values: object) -> None:
    with pytest.raises(UserError, match="ratings has shape"):
        finite_vector("ratings", np.asarray(values))


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="expected 3"):
        finite_vector("ratings", [1.0, 2.0], 3)
    with pytest.raises(UserError, match="2 values that are not finite"):
        finite_vector("ratings", [1.0, np.nan, np.inf])
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        probabilities("prob", [0.5, -0.1])
    with pytest.raises(UserError, match="at most 0"):
        log_probabilities("log_prob", [-0.5, 0.1])
    with pytest.raises(UserError, match="0 or more"):
        not_negative("votes", [1.0, -1.0])


def test_rounding_of_a_certain_preference_is_no_mistake() -> None:
    assert log_probabilities("log_prob", [1e-7, -1.0]).tolist() == [0, -1]
    assert probabilities("prob", [1 + 1e-7, 0.5]).tolist() == [1, 0.5]


def test_measures_are_imported_without_a_model_stack() -> None:
    package = hidden_context.measures
    modules = [f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__)]
    heavy = "{'torch', 'transformers', 'datasets', 'peft', 'accelerate', 'pandas', 'matplotlib'}"
    program = f"import sys, {', '.join(modules)}; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

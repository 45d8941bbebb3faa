"""r² within prompts against its definition, simulation and closed forms."""

import math

import numpy as np
import pytest
from measures.normal_outputs import NORMAL, example, outputs

from hidden_context.distributions import Categorical, Point
from hidden_context.errors import UserError
from hidden_context.measures.explained_variance import (
    each_prompt_explained_variance,
    explained_variance,
    pooled,
    within_prompt_explained_variance,
)


def test_within_prompt_r2_is_that_of_its_definition() -> None:
    """Three prompts of 3, 2 and 1 responses; the last is left out."""
    mean = np.array([0.0, 1, 5, 2, 4, 100])
    std = np.array([1.0, 2, 3, 1, 1, 50])
    utility = NORMAL.decode(outputs(mean, std))
    prompts = np.array(["a", "a", "a", "b", "b", "c"])
    explained = np.array([np.var([0, 1, 5], ddof=1), np.var([2, 4], ddof=1)])
    unexplained = np.array([14 / 3, 1.0])
    assert within_prompt_explained_variance(utility, prompts) == pytest.approx(
        explained.mean() / (explained.mean() + unexplained.mean())
    )
    assert each_prompt_explained_variance(utility, prompts) == pytest.approx(
        np.mean(explained / (explained + unexplained))
    )


def test_of_two_responses_the_r2_of_each_prompt_is_a_function_of_the_margin() -> None:
    """S = Δ²/2 and v = (v_a + v_b)/2, so S/(S + v) = z²/(1 + z²)."""
    raw, prompts = example(rows=2)
    utility = NORMAL.decode(raw)
    difference = utility.mean[::2] - utility.mean[1::2]
    z_squared = difference**2 / (utility.variance[::2] + utility.variance[1::2])
    assert each_prompt_explained_variance(utility, prompts) == pytest.approx(
        np.mean(z_squared / (1 + z_squared))
    )


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_within_prompt_r2_recovers_the_share_however_many_responses_a_prompt_has(
    rows: int,
) -> None:
    """Means vary by τ² = 1 within a prompt, utilities by 2 around them: r² is 1/3.

    S_p is unbiased with variance 2τ⁴/(K - 1); r² = S/(S + 2) has slope 2/9 at S = 1.
    """
    num_prompts = 20_000
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(num_prompts), rows)
    mean = rng.normal(size=len(prompts)) + 10 * rng.normal(size=num_prompts)[prompts]
    utility = NORMAL.decode(outputs(mean, np.full(len(prompts), math.sqrt(2))))
    margin = 4 * 2 / 9 * math.sqrt(2 / (rows - 1) / num_prompts)
    assert within_prompt_explained_variance(utility, prompts) == pytest.approx(1 / 3, abs=margin)


def test_pooled_r2_by_weights_is_that_of_the_repeated_rows() -> None:
    raw, prompts = example(num_prompts=5)
    at, groups = pooled(NORMAL.decode(raw), prompts)
    weights = np.array([2, 0, 1, 3, 1])
    repeated = np.repeat(raw, weights[prompts], axis=0)
    found = at(np.stack([np.ones(5), weights]))
    assert groups.num_prompts == 5
    assert found == pytest.approx(
        [explained_variance(NORMAL.decode(raw)), explained_variance(NORMAL.decode(repeated))]
    )


def test_a_prompt_without_difference_explains_nothing_and_the_order_of_rows_is_free() -> None:
    raw, prompts = example()
    shuffled = np.random.default_rng(3).permutation(len(prompts))
    for measure in (within_prompt_explained_variance, each_prompt_explained_variance):
        same = outputs(np.full(4, 2.0), np.arange(1.0, 5.0))
        assert measure(NORMAL.decode(same), [0, 0, 1, 1]) == pytest.approx(0)
        assert measure(NORMAL.decode(raw[shuffled]), prompts[shuffled]) == pytest.approx(
            measure(NORMAL.decode(raw), prompts)
        )


def test_histograms_have_an_r2_within_prompts_too() -> None:
    raw = np.random.default_rng(4).normal(size=(30, 10))
    found = within_prompt_explained_variance(Categorical().decode(raw), np.arange(30) // 3)
    assert 0 < found < 1


@pytest.mark.parametrize(
    "measure", [within_prompt_explained_variance, each_prompt_explained_variance]
)
def test_what_has_no_r2_is_refused(measure) -> None:
    raw, prompts = example(num_prompts=3)
    with pytest.raises(UserError, match="scalar"):
        measure(Point().decode(raw[:, :1]), prompts)
    with pytest.raises(UserError, match="no prompt has two"):
        measure(NORMAL.decode(raw), np.arange(9))
    with pytest.raises(UserError, match=r"expected \(9,\)"):
        measure(NORMAL.decode(raw), prompts[:-1])
    with pytest.raises(UserError, match="shape"):
        measure(NORMAL.decode(raw[None]), prompts)
    with pytest.raises(UserError, match="scalar"):
        measure(NORMAL.decode(raw[:0]), prompts[:0])

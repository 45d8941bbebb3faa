"""Learning-rate schedules."""

import pytest

from hidden_context.llm.schedules import cosine_to_a_tenth, step_by_thirds


def test_the_cosine_goes_from_one_to_a_tenth():
    assert cosine_to_a_tenth(0) == 1
    assert cosine_to_a_tenth(0.5) == pytest.approx(0.55)
    assert cosine_to_a_tenth(1) == pytest.approx(0.1)


def test_the_steps_are_thirds():
    assert [step_by_thirds(step / 9) for step in range(10)] == [1] * 3 + [0.1] * 3 + [0.01] * 4

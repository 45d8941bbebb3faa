"""What is said of the measures that training ends with."""

import pytest

from hidden_context.distributions import make_family
from hidden_context.llm.training_metrics import may_be_chance


@pytest.mark.parametrize(
    ("family", "accuracy", "number", "is_said"),
    [
        ("mean_and_variance", 0.526, 19, True),
        ("mean_and_variance", 0.526, 19_000, False),
        ("mean_and_variance", 0.9, 19, False),
        ("base", 0.526, 19, False),
    ],
)
def test_r2_of_what_may_be_a_coin_is_said_to_say_nothing(
    family: str, accuracy: float, number: int, is_said: bool
):
    """A coin is within 1.96 · ½/√n of ½ in 19 of 20 cases."""
    record = {
        "metrics": {"eval_accuracy": accuracy, "eval_r2": 0.01},
        "counts": {name: {"comparisons": number, "rankings": 0} for name in ("train", "test")},
        "config": {"learning_rate": 3e-6},
    }
    said = may_be_chance(make_family(family), record)
    assert said.startswith(f"eval_accuracy 0.526 of {number} comparisons may be") == is_said
    assert bool(said) == is_said

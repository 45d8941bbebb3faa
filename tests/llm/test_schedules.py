"""Learning-rate schedules."""

from typing import Any

import pytest

from hidden_context.errors import UserError
from hidden_context.llm.schedules import check_schedule, cosine_to_a_tenth, step_by_thirds
from hidden_context.llm.training_settings import TrainingSettings


def test_the_cosine_goes_from_one_to_a_tenth():
    assert cosine_to_a_tenth(0) == 1
    assert cosine_to_a_tenth(0.5) == pytest.approx(0.55)
    assert cosine_to_a_tenth(1) == pytest.approx(0.1)


def test_the_steps_are_thirds():
    assert [step_by_thirds(step / 9) for step in range(10)] == [1] * 3 + [0.1] * 3 + [0.01] * 4


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cosine", {}),
        ("linear", {}),
        ("polynomial", {"power": 2}),
        ("cosine_with_min_lr", {"min_lr": 1e-7}),
        ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1}),
        ("warmup_stable_decay", {"num_decay_steps": 5}),
    ],
)
def test_schedules_of_the_trainer_are_taken_with_what_they_need(name: str, options: dict[str, Any]):
    check_schedule(name, options, learning_rate=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("zigzag", {}, "'zigzag' is none of .*cosine_with_min_lr"),
        ("cosine", {"min_lr": 0}, "cosine takes no lr_scheduler_kwargs"),
        ("cosine_with_min_lr", {}, "needs min_lr or min_lr_rate, such as"),
        ("cosine_with_min_lr", {"min_lr": "a"}, "needs min_lr or min_lr_rate, such as"),
        ("warmup_stable_decay", {}, "needs num_decay_steps, such as"),
        ("linear", {"pover": 2}, "cannot be made with .*pover"),
    ],
)
def test_a_schedule_that_lacks_something_says_what(
    name: str, options: dict[str, Any], message: str
):
    with pytest.raises(UserError, match=message):
        check_schedule(name, options, learning_rate=1e-3)


def test_options_of_a_schedule_are_json_or_a_mapping():
    settings = TrainingSettings(lr_scheduler_kwargs='{"min_lr": 1e-7}')
    assert settings.lr_scheduler_kwargs == {"min_lr": 1e-7}
    assert TrainingSettings(lr_scheduler_kwargs={"min_lr": 1e-7}) == settings
    for wrong in ("[1]", "min_lr", "{min_lr"):
        with pytest.raises(UserError, match="lr_scheduler_kwargs"):
            TrainingSettings(lr_scheduler_kwargs=wrong)

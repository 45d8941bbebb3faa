"""Folder names of runs."""

import pytest

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.published.run_names import family_of_run, run_name

PUBLISHED = {
    "base_Llama-2-7b-hf__0_3e-06_cosine_2_peft_last_checkpoint": Point(),
    "mean_and_variance_Llama-2-7b-hf__0_3e-06_cosine_1_0.0_peft_last_checkpoint": Normal(),
    "categorical_Llama-2-7b-hf__0_3e-06_cosine_2_10_0.1_peft_last_checkpoint": Categorical(),
}


@pytest.mark.parametrize(("name", "family"), PUBLISHED.items())
def test_published_names_are_made_and_read(name: str, family: Family):
    made = run_name(
        family,
        model_name="meta-llama/Llama-2-7b-hf",
        train_dataset_size=0,
        learning_rate=3e-6,
        lr_scheduler_type="cosine",
        num_train_epochs=1.0 if "cosine_1" in name else 2.0,
        use_peft=True,
    )
    assert made == name
    assert family_of_run(name) == family.as_published()


def test_options_and_schedules_with_underscores_are_read():
    name = "categorical_m__8_0.1_constant_with_warmup_0.5_20_0.3_full_last_checkpoint"
    assert family_of_run(name) == Categorical(20, 0.3).as_published()


@pytest.mark.parametrize("name", ["my_model", "mean_and_variance_x", "categorical_m__a_b_c"])
def test_other_names_say_nothing(name: str):
    assert family_of_run(name) is None

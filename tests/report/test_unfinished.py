"""A page of a demo that was interrupted says which models are missing, and how to make them."""

import shutil
from pathlib import Path

import pytest
from page_samples import write_run

from hidden_context.demo import demo
from hidden_context.demo.config import TRAINED_ON, Config, command_of
from hidden_context.distributions import make_family
from hidden_context.report.page import render
from hidden_context.report.read_results import as_results


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = Config(out_dir=tmp_path / "a demo", train_size=40)
    demo.make_room(config)
    for family, sets in TRAINED_ON.items():
        for trained_on in sets:
            write_run(config.data_dir, make_family(family), trained_on=trained_on)
    return config


def run_of(config: Config, family: str, trained_on: str) -> Path:
    (folder,) = config.data_dir.glob(f"reward_models/*/{trained_on}/{family}_*")
    return folder


def test_a_whole_demo_has_nothing_missing(config: Config):
    (result,) = as_results(config.out_dir)
    assert result.unfinished == ""
    assert "Not finished" not in render([result], num_examples=0)


def test_what_is_missing_is_said_before_the_answer_with_the_command(config: Config):
    for model in (("categorical", "both"), ("shared_context", "both")):
        shutil.rmtree(run_of(config, *model))
    (result,) = as_results(config.out_dir)
    assert "2 of 10 models are missing (categorical on both, shared_context on both)" in (
        result.unfinished
    )
    assert result.unfinished.endswith(command_of(config))
    page = render([result], num_examples=0)
    assert page.index("Not finished") < page.index('<div class="answer')


def test_a_demo_without_any_model_is_said_to_be_unfinished(config: Config):
    shutil.rmtree(config.data_dir / "reward_models")
    (result,) = as_results(config.out_dir)
    assert "10 of 10 models are missing" in result.unfinished
    assert "no model was measured" in render([result])


def test_the_command_of_a_demo_names_its_folder_and_what_is_no_default(config: Config):
    assert command_of(config) == f"hidden-context demo --out_dir '{config.out_dir}' --train_size 40"
    assert command_of(Config()) == "hidden-context demo --out_dir demo_output"

"""The `synthetic` command: which files it leaves, what it uses again, how it refuses."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hidden_context.commands.synthetic import Config, main, run
from hidden_context.distributions import FAMILIES
from hidden_context.synthetic import evaluate, experiment

MODELS = (*FAMILIES, "classifier")


def result_folder(config: Config) -> Path:
    return config.folder(config.out_dir)


@pytest.fixture(scope="module", autouse=True)
def small_grid() -> Iterator[None]:
    """Fewer states to evaluate on: the numbers are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "POINTS_PER_AXIS", {1: 50, 2: 10})
        yield


@pytest.fixture(scope="module")
def finished(small_grid: None, tmp_path_factory: pytest.TempPathFactory) -> Config:
    config = Config("1d", 8, 0.001, 2, out_dir=tmp_path_factory.mktemp("results"))
    run(config)
    return config


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> float:
        raise AssertionError("trained")

    monkeypatch.setattr(experiment, "train", refuse)


@pytest.fixture
def no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of a short run's time is the figure's."""
    monkeypatch.setattr(experiment, "draw_curves", lambda *_: None)


def test_results_go_to_the_published_folder() -> None:
    config = Config(env="1d", batch_size=2048, lr=0.001, num_iterations=1000)
    assert result_folder(config) == Path("results/1d/2048_0.001_1000")


def test_the_defaults_are_the_published_ones_but_for_the_pairs() -> None:
    assert Config() == Config("1d", 128, 1e-4, 1000, "all", out_dir=Path("results"))


def test_models_metrics_curves_and_figure_are_all_there(finished: Config) -> None:
    folder = result_folder(finished)
    expected = {"1d.png", "1d.pdf", "metrics.json", "curves.npz"}
    for name in MODELS:
        expected |= {f"{name}.safetensors", f"{name}.json"}
    assert {path.name for path in folder.iterdir()} == expected
    assert (folder / "1d.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "1d.pdf").read_bytes().startswith(b"%PDF")


def test_metrics_are_strict_json_with_every_model_and_the_exact_answers(finished: Config) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (result_folder(finished) / "metrics.json").read_text()
    metrics = json.loads(text, parse_constant=refuse)
    assert tuple(metrics["models"]) == MODELS
    assert metrics["exact"]["rank_explained_variance"] == 0.5125
    assert metrics["config"]["batch_size"] == 8
    for found in metrics["models"].values():
        assert found["expected_loss"] > metrics["exact"]["expected_loss"]


def test_finished_models_are_used_again_and_the_run_says_so(
    finished: Config, no_training: None, no_figure: None, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = (result_folder(finished) / "metrics.json").read_text()
    run(finished)
    said = capsys.readouterr().out
    assert all(f"{name}: using the trained model" in said for name in MODELS)
    assert (result_folder(finished) / "metrics.json").read_text() == metrics


@pytest.mark.parametrize("other", [{"seed": 1}, {"pairs": "sampled"}], ids=str)
def test_another_seed_or_kind_of_pairs_is_trained_anew(
    finished: Config, no_training: None, other: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match="trained"):
        run(replace(finished, **other))


def test_sampled_pairs_are_a_choice_and_are_recorded(tmp_path: Path, no_figure: None) -> None:
    flags = ["--pairs", "sampled", "--batch_size=4", "--num_iterations=1"]
    assert main([*flags, "--out_dir", str(tmp_path)]) == 0
    metrics = json.loads((tmp_path / "1d" / "4_0.0001_1" / "metrics.json").read_text())
    assert metrics["config"]["pairs"] == "sampled"


def test_ctrl_c_keeps_the_models_that_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = experiment.train

    def interrupted_at_categorical(*given: object, label: str, **settings: object) -> float:
        if label == "categorical":
            raise KeyboardInterrupt
        return original(*given, label=label, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "train", interrupted_at_categorical)
    flags = ["--batch_size=8", "--num_iterations=1", f"--out_dir={tmp_path}"]
    assert main(flags) == 130
    (folder,) = tmp_path.glob("1d/*")
    assert {path.stem for path in folder.iterdir()} == {"base", "mean_and_variance"}


def test_redraw_needs_the_curves_only(finished: Config, no_training: None, tmp_path: Path) -> None:
    config = replace(finished, out_dir=tmp_path, redraw=True)
    folder = result_folder(config)
    folder.mkdir(parents=True)
    with np.load(result_folder(finished) / "curves.npz") as arrays:
        np.savez(folder / "curves.npz", allow_pickle=False, **arrays)
    run(config)
    assert {path.name for path in folder.iterdir()} == {"curves.npz", "1d.png", "1d.pdf"}
    png = (result_folder(finished) / "1d.png").read_bytes()
    assert (folder / "1d.png").read_bytes() == png


def test_the_second_environment_runs_from_the_command_line(tmp_path: Path) -> None:
    flags = ["--env", "2d", "--batch-size", "4", "--num_iterations", "1"]
    assert main([*flags, "--out_dir", str(tmp_path)]) == 0
    assert (tmp_path / "2d" / "4_0.0001_1" / "2d.png").is_file()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--env", "3d"], "'3d'"),
        (["--pairs", "some"], "'some'"),
        (["--batch_size", "0"], "batch_size 0"),
        (["--num_iterations", "0"], "num_iterations 0"),
        (["--lr", "-0.1"], "--lr -0.1"),
        (["--lr", "nan"], "--lr nan"),
        (["--lr", "inf"], "--lr inf"),
        (["--out_dir", __file__], "--out_dir"),
        (["--redraw", "--out_dir", "/nonexistent"], "with redraw off"),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_status_2(
    flags: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert named in error

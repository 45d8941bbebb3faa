"""What `train` tells a program: warnings once, and nothing printed unless asked."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_model

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.llm.train import train


def comparisons(long: bool = False) -> Comparisons:
    rows = [{"chosen": f"bread and {n} eggs", "rejected": f"{n} stones"} for n in range(6)]
    if long:
        rows[2]["rejected"] += " sand" * 40
    return load_comparisons(rows)


def short_run(data: Comparisons, folder: Path, **how: Any) -> Any:
    model = str(tiny_model())
    return train(data, model=model, output_dir=folder, max_length=30, logging_steps=1, **how)


def test_over_long_comparisons_are_warned_of_once(tmp_path: Path, caplog: Any, capfd: Any):
    message = r"train: 5 comparisons .*; 1 over 30 tokens, left out"
    with caplog.at_level("INFO"), pytest.warns(UserWarning, match=message) as warned:
        short_run(comparisons(long=True), tmp_path / "rm")
    assert ["over 30 tokens" in str(one.message) for one in warned].count(True) == 1
    assert "over 30 tokens" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("progress", [False, True])
def test_a_bar_and_losses_are_shown_only_if_asked(tmp_path: Path, capfd: Any, progress: bool):
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short_run(comparisons(), tmp_path / "rm", eval_data=comparisons(), progress=progress)
    out, error = capfd.readouterr()
    if progress:
        assert "3/3" in error
        assert "'loss'" in out
    else:
        assert (out, error) == ("", "")

"""The demo: on a small scale that all is there, and that it finds what the generator hid."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from hidden_context.commands.demo import main
from hidden_context.demo.config import RECORD, Config
from hidden_context.demo.demo import make_room
from hidden_context.demo.findings import Finding
from hidden_context.demo.story import num_humps, sparkline
from hidden_context.distributions import PUBLISHED
from hidden_context.records import read_jsonl

SMALL = Config(
    seed=0, train_size=32, test_size=12, num_jailbreaks=10, pretrain_steps=4, batch_size=32
)


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


def run_small(out_dir: Path) -> int:
    return main(
        [f"--{name}={value}" for name, value in {**vars(SMALL), "out_dir": out_dir}.items()]
    )


def test_a_small_demo_writes_the_published_layout_and_prints_the_table(
    small_demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_small(small_demo) == 0
    printed = capsys.readouterr().out
    for subset in ("helpful", "harmless", "both"):
        for split, size in (("train", 32), ("test", 12)):
            file = small_demo / f"data/relabeled_hh_rlhf/{subset}/{split}.jsonl.gz"
            assert len(read_jsonl(file)) == size
        runs = small_demo / "data/reward_models/relabeled_hh_rlhf" / subset
        for family in PUBLISHED:
            (scores,) = runs.glob(f"{family}_tiny_llama__*_last_checkpoint/eval_results_both.jsonl")
            assert len(read_jsonl(scores)) == 12
            assert re.search(rf"^{family} +{subset} ", printed, re.MULTILINE)
        assert re.search(rf"^truth +{subset} ", printed, re.MULTILINE)
    (row, *_) = read_jsonl(small_demo / "data/jailbroken_evaluations_categorical.jsonl")
    assert "reward_outputs_both_categorical" in row
    assert len(re.findall(r"in this run$", printed, re.MULTILINE)) == 6
    told = ["Two judges", "A scalar reward model", "It can be careful", "Where do people", "Who ju"]
    places = [printed.find(beginning) for beginning in told]
    assert places == sorted(places)
    assert places[0] > 0
    assert places[-1] < printed.find("family  ")
    assert f"look at it: {small_demo / 'report.html'}" in printed
    page = (small_demo / "report.html").read_text(encoding="utf-8")
    assert "Jailbreak rate, trained on both" in page


def test_the_model_with_contexts_is_trained_on_both_and_scores_jailbreaks_among_others(
    small_demo: Path,
) -> None:
    runs = small_demo / "data/reward_models/relabeled_hh_rlhf"
    (scores,) = runs.glob("*/shared_context_*_last_checkpoint/eval_results_both.jsonl")
    assert scores.is_relative_to(runs / "both")
    rows = read_jsonl(small_demo / "data/jailbreaks_among_others_shared_context.jsonl")
    assert len(rows) == 10
    assert all(len(row["reward_outputs_both_shared_context"]) == 2 + 8 for row in rows)


def test_a_folder_that_is_not_of_a_demo_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert run_small(tmp_path) == 2
    assert "thesis.txt" in [file.name for file in tmp_path.iterdir()]
    assert "not of an earlier demo" in capsys.readouterr().err


def test_a_demo_that_was_killed_at_any_time_may_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an earlier one was removed, and before its record was whole."""
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / f".{RECORD}.0123abcd.partial").touch()
    make_room(Config(out_dir=folder))
    assert [path.name for path in folder.iterdir()] == [RECORD]
    (folder / "data").mkdir()
    (folder / "log.txt").touch()

    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(SystemExit):
        make_room(Config(out_dir=folder))
    monkeypatch.undo()
    assert (folder / RECORD).is_file()
    make_room(Config(out_dir=folder))
    assert [path.name for path in folder.iterdir()] == [RECORD]


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("train_size", "-1", "train_size is -1; give at least 1"),
        ("num_jailbreaks", "0", "num_jailbreaks is 0; give at least 1"),
        ("pretrain_steps", "-1", "pretrain_steps is -1; give at least 0"),
        ("learning_rate", "nan", "learning_rate is nan; give a number above 0"),
    ],
)
def test_a_setting_that_cannot_be_used_leaves_an_earlier_demo_alone(
    flag: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = tmp_path / "demo.json"
    earlier.write_text("{}")
    assert main(["--out_dir", str(tmp_path), f"--{flag}={value}"]) == 2
    assert message in capsys.readouterr().err
    assert earlier.read_text() == "{}"


@pytest.mark.parametrize(
    ("density", "drawn", "humps"),
    [
        ([0.0, 1.0, 2.0, 1.0], "▁▅█▅", 1),
        ([2.0, 0.5, 0.5, 1.5], "█▃▃▆", 2),
        ([2.0, 1.9, 2.0, 1.9], "████", 1),
        ([1.0, 1.0, 1.0, 1.0], "████", 1),
    ],
)
def test_a_density_is_drawn_and_its_humps_are_counted(density, drawn: str, humps: int) -> None:
    assert sparkline(np.array(density)) == drawn
    assert num_humps(np.array(density)) == humps


def test_a_finding_holds_only_if_the_smaller_number_is_smaller() -> None:
    assert Finding("claim", "family", 0.1, 0.2).holds
    assert not Finding("claim", "family", 0.2, 0.2).holds


@pytest.fixture(scope="module")
def full_demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a demo prints at full size, with seed 0."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main([f"--out_dir={tmp_path_factory.mktemp('full') / 'demo'}", "--seed=0"]) == 0
    return said.getvalue()


@pytest.mark.slow
def test_the_table_of_the_tutorial_is_what_the_demo_prints(full_demo: str) -> None:
    """To the digit, with the tested versions: the table is deterministic on one kind of CPU."""
    page = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"```\n(family +trained on .*?)```", page, re.DOTALL)
    rows = [line.split() for line in table.splitlines()]
    assert len(rows) == 13
    printed = [line.split() for line in full_demo.splitlines()]
    assert [row for row in rows if row not in printed] == []
    (rate, truth) = re.findall(r"jailbroken in (\.\d+) of the cases \(truth (\.\d+)\)", page)[0]
    assert re.search(rf"worst context 0{rate} \(truth: 0\.\d+, 0{truth}\)", full_demo)


@pytest.mark.slow
def test_the_findings_of_the_paper_show_and_the_judges_are_found(full_demo: str) -> None:
    """Margins are two standard errors and more.

    Rates of 300 jailbreaks have standard errors of at most .029, their difference .041. r² is over
    2,000 responses; over seeds 0 to 4 the smallest difference was .28. Correlations of 1,000
    responses near .95 have standard errors of .003; over seeds 0 to 4 the smallest was .958.
    """
    pairs = re.findall(r"(0\.\d+) < (0\.\d+) holds in this run", full_demo)
    differences = [float(larger) - float(smaller) for smaller, larger in pairs]
    assert len(differences) == 6
    assert min(differences[:2]) > 0.1
    assert min(differences[2:4]) > 0.082
    assert float(pairs[4][1]) > 0.94
    assert differences[5] > 0.082
    assert "shared_context against base:\n  better by" in full_demo

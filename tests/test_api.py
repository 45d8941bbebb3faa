"""The library as a program holds it: every name, imported when used; the example of the README."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import save_tiny_model

import hidden_context as hc
from hidden_context.records import write_jsonl


def test_every_name_of_the_api_is_there_and_documented() -> None:
    assert len(hc.__all__) > 35
    for name in hc.__all__:
        assert getattr(hc, name) is not None
        assert name in dir(hc)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hc.nothing  # pyrefly: ignore


@pytest.mark.slow
def test_a_name_is_the_same_before_and_after_its_neighbours_are_imported() -> None:
    """A folder of the package that had a function's name would take its place."""
    program = (
        "import importlib, pkgutil, hidden_context as hc\n"
        "for module in pkgutil.walk_packages(hc.__path__, 'hidden_context.'):\n"
        "    importlib.import_module(module.name)\n"
        "modules = [name for name in hc.__all__ if type(getattr(hc, name)).__name__ == 'module']\n"
        "assert not modules, modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_waits_for_nothing_heavy() -> None:
    program = (
        "import sys, hidden_context\n"
        "heavy = {'torch', 'numpy', 'transformers', 'matplotlib', 'pandas', 'scipy', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty comparisons in which flour is better than sand."""
    folder = tmp_path_factory.mktemp("api")
    rows = [
        {
            "prompt": f"Question {number}: what is in it? ",
            "chosen": f"flour and {number} eggs",
            "rejected": f"sand and {number} stones",
        }
        for number in range(40)
    ]
    write_jsonl(folder / "data.jsonl", rows)
    save_tiny_model(folder / "tiny")
    return folder


def test_the_whole_way_from_data_to_a_page(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    comparisons = hc.load_comparisons(data / "data.jsonl")
    train, test = comparisons.split(by="prompt", test_size=0.25, seed=0)
    assert (len(train), len(test)) == (30, 10)
    tiny = str(data / "tiny")
    settings = {"model": tiny, "num_train_epochs": 2.0, "learning_rate": 1e-3, "max_length": 64}
    model = hc.train(train, family="mean_and_variance", output_dir=tmp_path / "rm", **settings)
    base = hc.train(train, family="base", output_dir=tmp_path / "base", **settings)
    model = hc.RewardModel.from_pretrained(tmp_path / "rm")
    prompts, responses = ["What is in it? ", "And in this? "], ["flour", "sand"]
    utility = model.score(prompts, responses)
    assert utility.shape == (2,)
    by_candidates = model.score(prompts, [["flour", "sand", "eggs"]] * 2)
    assert by_candidates.shape == (2, 3)
    rewards = model.reward(prompts, responses, risk="quantile:0.01")
    assert rewards == pytest.approx(utility.quantile(0.01).tolist(), rel=1e-5)
    scores = model.score_comparisons(test)
    scores.save(tmp_path / "scores.jsonl")
    assert len(hc.load_scores(tmp_path / "scores.jsonl")) == len(test)
    evaluation = hc.evaluate(scores, baseline=base.score_comparisons(test))
    assert evaluation.against_base is not None
    assert evaluation.plot_reliability().get_xlabel()
    hc.write_page([evaluation], tmp_path / "page.html")
    assert "mean_and_variance" in (tmp_path / "page.html").read_text()
    again = pickle.loads(pickle.dumps(model))
    assert again.reward(prompts, responses) == pytest.approx(model.reward(prompts, responses))
    assert capfd.readouterr().out == ""  # a program prints nothing unless asked


def test_an_audit_answers_in_sentences(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    comparisons = hc.load_comparisons(data / "data.jsonl")
    result = hc.audit(
        comparisons, num_folds=3, num_seeds=1, num_null_draws=0, cache_dir=tmp_path / "cache"
    )
    assert capfd.readouterr().out == ""
    assert "Can these vectors predict who wins?" in str(result)
    assert "<table" in result._repr_html_()
    assert len(result.to_frame()) > 10


def test_items_are_fitted_from_votes() -> None:
    votes = [
        {"first": "tea", "second": "soap", "wins": 9, "losses": 1},
        {"first": "soap", "second": "milk", "wins": 2, "losses": 8},
        {"first": "milk", "second": "tea", "wins": 4, "losses": 6},
    ]
    people = hc.fit_items(votes, family="base")
    ranked = people.to_frame().sort_values("mean", ascending=False)
    assert ranked["item"].tolist() == ["tea", "milk", "soap"]


def test_utilities_are_arrays_of_distributions() -> None:
    import numpy as np

    utility = hc.make_family("mixture").decode(np.random.default_rng(0).normal(size=(5, 9)))
    assert len(utility) == 5
    assert utility[1:3].shape == (2,)
    draws = utility.sample(20_000, np.random.default_rng(1))
    error = np.asarray(utility.std) / np.sqrt(20_000)
    assert (np.abs(draws.mean(0) - utility.mean) < 4 * error).all()

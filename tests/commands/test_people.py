"""`hidden-context people`: what is printed, the page, what is saved, and mistakes in a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import make

from hidden_context.records import read_jsonl, write_jsonl

Run = Callable[..., tuple[int, str, str]]


def rows_of(people: range, count: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows = []
    for person in people:
        taste = np.array([2.0, 0.0, 0.3, -2.0]) * (1 if person % 2 else -1)
        for _ in range(count):
            first, second = rng.choice(4, 2, replace=False)
            ahead = taste[first] - taste[second] + rng.logistic()
            winner = "tie" if abs(ahead) < 0.3 else "ab"[int(ahead < 0)]
            rows.append(
                {
                    "item_a": f"tea <{first}>",
                    "item_b": f"tea <{second}>",
                    "winner": winner,
                    "annotator": f"p{person}",
                    "country": ["x", "y"][person % 2],
                }
            )
    return rows


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "votes.jsonl"
    write_jsonl(path, rows_of(range(16), 12, 0))
    return path


def test_people_are_found_shown_saved_and_asked(run: Run, votes: Path, tmp_path: Path):
    page, saved = tmp_path / "people.html", tmp_path / "saved"
    flags = ["--num_directions", "1", "--num_folds", "2", "--group", "country"]
    status, printed, error = run("people", str(votes), *flags, f"--save={saved}", f"--out={page}")
    assert status == 0, error
    assert "16 people made 192 comparisons" in printed
    assert "Are they the groups of country?" in printed
    shown = page.read_text()
    for section in ("Who differs from whom?", "Along what do they differ?", "equally good"):
        assert section in shown
    assert "tea &lt;0&gt;" in shown
    assert shown.count('<svg class="plot"') == 3
    her = tmp_path / "her.jsonl"
    alone = [{**row, "annotator": "z"} for row in rows_of(range(1, 2), 5, 1)]
    write_jsonl(her, alone)
    status, printed, error = run("people", str(saved), "--person", str(her), "--json")
    assert status == 0, error
    (answer,) = json.loads(printed)
    assert answer["comparisons"] == 5
    best = answer["items"][int(np.argmax(answer["utility"]["mean"]))]
    assert best == "tea <0>"


def test_six_people_with_texts_end_in_an_answer(run: Run, tmp_path: Path):
    """By default flags: no more folds than people allow, and what is too little is said."""
    rng, rows = np.random.default_rng(0), []
    for person in range(6):
        for _ in range(10):
            texts = (" ".join(rng.choice(list("abcdef"), 5)) for _ in range(2))
            row = dict(zip(("chosen", "rejected"), texts, strict=True))
            rows.append({**row, "annotator": f"p{person}"})
    write_jsonl(tmp_path / "votes.jsonl", rows)
    votes, page = str(tmp_path / "votes.jsonl"), f"--out={tmp_path / 'page.html'}"
    status, printed, error = run("people", votes, page)
    assert status == 0, error
    assert "responses were compared once" in printed.replace("\n", " ")
    assert "60 comparisons by 6 people" in printed
    assert "from now" in printed
    assert "no table" not in printed
    assert printed.splitlines()[-1].endswith("--vectors words")
    status, printed, error = run("people", votes, page, "--num_directions=1")
    assert status == 0, error
    assert "6 people are held out in 3 folds, not 5." in printed


def test_a_person_is_told_of_people_fitted_to_texts(run: Run, tmp_path: Path):
    """They have no items of their own; and what is no comparison is called by its file."""
    words = ["bread", "flour", "water", "yeast"]
    rows = [
        {"chosen": f"{words[n % 4]} {words[n % 3]}", "rejected": "stone", "annotator": f"p{n % 4}"}
        for n in range(16)
    ]
    write_jsonl(tmp_path / "votes.jsonl", rows)
    votes, saved = tmp_path / "votes.jsonl", tmp_path / "saved"
    fast = ["--vectors=words", "--num_directions=0", "--num_folds=0", f"--save={saved}"]
    status, _, error = run("people", votes, *fast, f"--out={tmp_path / 'page.html'}")
    assert status == 0, error
    status, printed, error = run("people", saved, f"--person={votes}")
    assert status == 0, error
    assert "p0: 4 comparisons. She calls" in printed
    write_jsonl(tmp_path / "asked.jsonl", [{"prompt": "?", "chosen": "a", "reject": "b"}])
    status, _, error = run("people", saved, f"--person={tmp_path / 'asked.jsonl'}")
    assert status == 2
    assert error.startswith(f"error: {tmp_path / 'asked.jsonl'}")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--color", "age"], "no column 'age'"),
        (["--num_folds", "1"], "--num_folds is 1"),
        (["--num_directions", "9"], "num_directions is 9; 4 items have 0 to 3"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, votes: Path, tmp_path: Path, flags: list[str], message: str
):
    page = tmp_path / "page.html"
    fast = [] if "--num_directions" in flags else ["--num_directions", "0"]
    status, _, error = run("people", str(votes), *fast, *flags, f"--out={page}")
    assert status == 2
    assert message in error
    assert "\n" not in error
    assert not page.exists()


def test_the_best_of_several_for_one_person(run: Run, tmp_path: Path):
    make(tmp_path / "rm")
    rng, rows = np.random.default_rng(0), []
    for person in range(6):
        for _ in range(6):
            first, second = (f" {' '.join(rng.choice(list('abcdef'), 3))}" for _ in "ab")
            row = {"prompt": "Tea?", "chosen": first, "rejected": second}
            rows.append({**row, "annotator": f"p{person}"})
    write_jsonl(tmp_path / "votes.jsonl", rows)
    write_jsonl(tmp_path / "her.jsonl", rows[:6])
    write_jsonl(tmp_path / "asked.jsonl", [{"prompt": "Tea?", "responses": [" a b", " c", " f"]}])
    where = [f"--input={tmp_path / 'asked.jsonl'}", f"--output={tmp_path / 'best.jsonl'}"]
    saved = tmp_path / "people"
    fitted = ["--vectors", str(tmp_path / "rm"), "--num_directions", "1", "--num_folds", "0"]
    page = f"--out={tmp_path / 'page.html'}"
    status, _, error = run(
        "people", str(tmp_path / "votes.jsonl"), *fitted, f"--save={saved}", page
    )
    assert status == 0, error
    of_people = ["best-of", *where, f"--people={saved}"]
    status, _, error = run(*of_people, "--person", str(tmp_path / "her.jsonl"))
    assert status == 0, error
    (row,) = read_jsonl(tmp_path / "best.jsonl")
    assert sum(row["rewards"]) == pytest.approx(0, abs=1e-4)
    assert row["chosen_index"] == int(np.argmax(row["rewards"]))
    (tmp_path / "best.jsonl").unlink()
    for by in (["--risk", "cvar:0.1"], ["--rule", "borda"]):
        status, _, error = run(*of_people, *by)
        assert status == 0, error
    status, _, error = run(*of_people, "--reward_model_checkpoints", str(tmp_path / "rm"))
    assert (status, "not both" in error) == (2, True)

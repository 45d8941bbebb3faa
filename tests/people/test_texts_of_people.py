"""People fitted to texts: new texts, files, and rewards for one person from a checkpoint."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from tiny_checkpoints import make

import hidden_context as hc
from hidden_context.people.saved import NUMBERS, RECORD
from hidden_context.people.sentences import LONGEST, item_shown
from hidden_context.records import read_json, write_json

WORDS = ("flour", "salt", "water", "yeast", "honey", "milk", "oil", "seeds")
TASTES = np.random.default_rng(7).normal(size=(110, len(WORDS)))
"""What each of 110 people likes in a text, by word."""


def texts(count: int, rng: np.random.Generator) -> np.ndarray:
    """Which words each text has, shape `(count, words)`."""
    return rng.random((count, len(WORDS))) < 0.4


def as_text(words: np.ndarray) -> str:
    return "take " + " ".join(word for word, there in zip(WORDS, words, strict=True) if there)


def votes_of(people: range, count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for person in people:
        first, second = texts(count, rng), texts(count, rng)
        wins = rng.random(count) < expit((first - second.astype(float)) @ TASTES[person])
        for a, b, won in zip(first, second, wins, strict=True):
            chosen, rejected = (a, b) if won else (b, a)
            row = {"prompt": "Bread?", "chosen": as_text(chosen), "rejected": as_text(rejected)}
            rows.append({**row, "annotator": f"p{person}"})
    return rows


@pytest.fixture(scope="module")
def by_words() -> hc.People:
    return hc.fit_people(
        votes_of(range(100), 25, np.random.default_rng(0)),
        vectors="words",
        num_directions=8,
        ridge=1.0,
    )


def test_utilities_of_new_texts_follow_a_new_persons_comparisons(by_words: hc.People):
    rng = np.random.default_rng(1)
    new = texts(60, rng)
    utility = by_words.utility_of([as_text(one) for one in new])
    assert utility.mean.shape == (60,)
    assert (utility.std > 0.5).all()
    correlations = []
    for person in range(100, 110):
        her = by_words.posterior(votes_of(range(person, person + 1), 30, rng))
        found = her.utility_of([as_text(one) for one in new])
        assert (found.std[0] < utility.std + 1e-9).all()
        correlations.append(np.corrcoef(found.mean[0], new @ TASTES[person])[0, 1])
    assert np.mean(correlations) > 0.6


def test_intervals_of_new_texts_hold_what_they_say(by_words: hc.People):
    """Of differences between two texts, which comparisons tell: 390 of 10 people, at 90 %."""
    rng, inside = np.random.default_rng(2), []
    new = texts(40, rng)
    for person in range(100, 110):
        her = by_words.posterior(votes_of(range(person, person + 1), 10, rng))
        mean, slopes = by_words.texts([as_text(one) for one in new])  # type: ignore[misc]
        ahead, across = np.diff(mean), np.diff(slopes, axis=0)
        found, covariance = her.coordinates
        centre = ahead + across @ found[0]
        std = np.sqrt(np.einsum("qr,rs,qs->q", across, covariance[0], across))
        truth = np.diff(new.astype(float), axis=0) @ TASTES[person]
        inside.append(abs(truth - centre) < norm.ppf(0.95) * std)
    assert 0.85 < np.mean(inside) < 0.95


def test_people_of_items_know_no_other_texts():
    rows = [{"winner": "a", "loser": "b", "annotator": name} for name in "xy"]
    people = hc.fit_people(rows, num_directions=0)
    with pytest.raises(hc.UserError, match="fitted to a list of items"):
        people.utility_of(["c"])


@pytest.mark.parametrize("kind", ["items", "texts"])
def test_saved_people_say_the_same(kind: str, by_words: hc.People, tmp_path: Path):
    rows = votes_of(range(3), 6, np.random.default_rng(3))
    people = by_words
    if kind == "items":
        people = hc.fit_people(rows, num_directions=1, num_clusters=2)
    people.save(tmp_path / "people")
    loaded = hc.People.load(tmp_path / "people")
    one, other = people.posterior(rows), loaded.posterior(rows)
    np.testing.assert_allclose(one.log_evidence, other.log_evidence, rtol=1e-6)
    assert repr(loaded).split(",")[0] == repr(people).split(",")[0]
    assert set(read_json(tmp_path / "people" / RECORD)) >= {"version", "kind", "hidden_context"}


def test_what_is_no_saved_people_is_refused(by_words: hc.People, tmp_path: Path):
    with pytest.raises(hc.UserError, match="holds no people"):
        hc.People.load(tmp_path)
    by_words.save(tmp_path)
    record = read_json(tmp_path / RECORD)
    write_json(tmp_path / RECORD, {**record, "version": 99})
    with pytest.raises(hc.UserError, match="version 99"):
        hc.People.load(tmp_path)
    write_json(tmp_path / RECORD, record)
    (tmp_path / NUMBERS).write_bytes(b"damaged")
    with pytest.raises(hc.UserError, match="is damaged"):
        hc.People.load(tmp_path)


@pytest.fixture(scope="module")
def of_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> hc.People:
    folder = tmp_path_factory.mktemp("people") / "rm"
    make(folder)
    rows = votes_of(range(12), 10, np.random.default_rng(4))
    return hc.fit_people(rows, vectors=folder, num_directions=2, ridge=1.0)


ANSWERS = [" take flour salt", " take honey", " take water oil seeds"]


def test_of_a_text_read_with_its_prompt_the_end_is_shown(
    of_checkpoint: hc.People, by_words: hc.People
):
    long = "Human: how do I bake bread in a week without an oven?\n\nAssistant: Slowly, on a stone."
    shown = [item_shown(replace(each, items=(long,)), 0) for each in (of_checkpoint, by_words)]
    assert shown[0].startswith("…")
    assert shown[0].endswith("oven? Assistant: Slowly, on a stone.")
    assert shown[1].startswith("Human: how do I bake bread")
    assert [len(each) for each in shown] == [LONGEST, LONGEST]


def test_a_reward_for_one_person_is_what_her_utilities_are(of_checkpoint: hc.People):
    """Centred over the responses of a prompt, whose level comparisons do not tell."""
    her = of_checkpoint.posterior(votes_of(range(12, 13), 8, np.random.default_rng(5)))
    reward = hc.reward_function(her.checkpoint, person=her, device="cpu")
    rewards = pickle.loads(pickle.dumps(reward))(["Bread?"] * 3, ANSWERS)
    mean = her.utility_of([f"Bread?{answer}" for answer in ANSWERS]).mean[0]
    np.testing.assert_allclose(rewards, mean - mean.mean(), atol=1e-4)


def test_the_worst_off_tenth_of_people_is_a_risk(of_checkpoint: hc.People):
    """Against the mean of the lowest tenth of 100,000 people, drawn and centred."""
    reward = hc.reward_function(
        of_checkpoint.checkpoint, person=of_checkpoint, risk="cvar:0.1", device="cpu"
    )
    rewards = reward(["Bread?"] * 3, ANSWERS)
    mean, slopes = of_checkpoint.texts([f"Bread?{one}" for one in ANSWERS])  # type: ignore[misc]
    people = np.random.default_rng(6).normal(size=(100_000, 2))
    utilities = mean - mean.mean() + people @ (slopes - slopes.mean(0)).T
    worst = np.sort(utilities, axis=0)[:10_000].mean(0)
    spread = utilities.std(0)
    np.testing.assert_allclose(
        np.array(rewards, float), worst, atol=0.25 * spread.max()
    )  # 26 of 256 draws


def test_a_person_of_another_checkpoint_is_refused(of_checkpoint: hc.People, by_words: hc.People):
    with pytest.raises(hc.UserError, match="fitted to states of"):
        hc.reward_function("elsewhere", person=of_checkpoint)
    with pytest.raises(hc.UserError, match="fitted to words"):
        hc.reward_function(of_checkpoint.checkpoint, person=by_words)

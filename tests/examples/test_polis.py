"""The Polis example: how votes become comparisons, the identities behind it, and a small run."""

import csv
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polis
import polis_groups
import polis_measures
import polis_setting
import pytest
from polis_votes import (
    Pairs,
    Votes,
    comparisons_within_people,
    read_votes,
    split_people,
)

from hidden_context.commands.command_line import run_command
from hidden_context.distributions import FAMILIES, make_family
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, fit_items
from hidden_context.records import read_json

SMALL = (
    *("--num_statements=8", "--min_votes=5", "--min_pair_votes=2", "--max_iterations=5"),
    *("--num_draws=1", "--num_members=2", "--num_worlds=1", "--num_resamples=20"),
)


def votes_of(values: list[list[float]] | np.ndarray, groups: list[str] | None = None) -> Votes:
    array = np.asarray(values, dtype=float)
    names = tuple(map(str, range(array.shape[1])))
    return Votes(array, np.array(groups or [""] * len(array)), names)


def generated(num_people: int, num_statements: int, seed: int) -> Votes:
    """Two groups that differ on half of the statements; a fifth of the votes is missing."""
    rng = np.random.default_rng(seed)
    agree = rng.uniform(0.15, 0.85, size=(2, num_statements))
    agree[1, ::2] = agree[0, ::2]
    group = rng.integers(0, 2, num_people)
    values = np.where(rng.random((num_people, num_statements)) < agree[group], 1.0, -1.0)
    values[rng.random(values.shape) < 0.1] = 0.0
    values[rng.random(values.shape) < 0.2] = np.nan
    return votes_of(values, [str(number) for number in group])


def write_votes(file: Path, votes: Votes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["participant", "group-id", "n-votes", *votes.statements])
        for person, (group, own) in enumerate(zip(votes.groups, votes.values, strict=True)):
            cells = ["" if np.isnan(vote) else int(vote) for vote in own]
            writer.writerow([person, group, sum(cell != "" for cell in cells), *cells])


def test_votes_are_read_as_they_were_written(tmp_path: Path):
    written = generated(20, 6, seed=0)
    write_votes(tmp_path / "votes.csv", written)
    read = read_votes(tmp_path / "votes.csv")
    np.testing.assert_array_equal(read.values, written.values)
    assert list(read.groups) == list(written.groups)
    assert read.statements == written.statements


def test_moments_are_those_of_the_votes_that_were_cast():
    votes = generated(50, 6, seed=1)
    np.testing.assert_allclose(votes.mean, np.nanmean(votes.values, axis=0))
    np.testing.assert_allclose(votes.std, np.nanstd(votes.values, axis=0))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("opposed", {(0, 1, 1), (1, 3, -1)}),
        ("different", {(0, 1, 1), (1, 3, -1), (0, 2, 1), (1, 2, -1), (2, 3, -1)}),
        (
            "with_ties",
            {(0, 1, 1), (1, 3, -1), (0, 2, 1), (1, 2, -1), (2, 3, -1), (0, 3, 0)},
        ),
    ],
)
def test_which_statements_of_one_person_are_compared(
    pairs: Any, expected: set[tuple[int, int, int]]
):
    """Agree, disagree, pass, agree, not voted on."""
    found = comparisons_within_people(votes_of([[1, -1, 0, 1, np.nan]]), pairs)
    ahead = found.outcomes.shares @ [-1, 0, 1]
    rows = zip(found.first, found.second, ahead, strict=True)
    assert {tuple(map(int, row)) for row in rows} == expected


def test_nobody_is_compared_with_somebody_else():
    votes = generated(30, 6, seed=2)
    for pairs in get_args(Pairs):
        found = comparisons_within_people(votes, pairs)
        first, second = (votes.values[found.person, i] for i in (found.first, found.second))
        np.testing.assert_array_equal(np.sign(first - second), found.outcomes.shares @ [-1, 0, 1])
        assert (found.first < found.second).all()


def test_opposed_votes_on_independent_statements_follow_bradley_terry_whatever_the_spread():
    """All votes of all kinds of people, each as often as independence has it, weigh exactly.

    So the maximum of the likelihood of `base` is log(p/q) of each statement, though their
    deviations differ from .4 to .9.
    """
    shares = np.array([[0.1, 0.1, 0.8], [0.5, 0.1, 0.4], [0.05, 0.8, 0.15], [0.3, 0.0, 0.7]])
    first, second = np.triu_indices(len(shares), k=1)
    wins = shares[first, 2] * shares[second, 0]
    loses = shares[first, 0] * shares[second, 2]
    won = ItemComparisons.won(np.append(first, second), np.append(second, first))
    weighted = ItemComparisons(
        won.first, won.second, type(won.outcomes)(won.outcomes.shares, np.append(wins, loses))
    )
    fit = fit_items(weighted, "base")
    log_odds = np.log(shares[:, 2] / shares[:, 0])
    utility = np.asarray(fit.utility.mean)
    np.testing.assert_allclose(utility - utility.mean(), log_odds - log_odds.mean(), atol=1e-4)
    observed = np.log(wins / loses)
    np.testing.assert_allclose(log_odds[first] - log_odds[second], observed, atol=1e-12)


def test_redrawn_votes_keep_who_voted_and_in_expectation_the_shares():
    """400 draws of 40 votes: standard error of a share at most ½ / √16000. Margin: 5 of them."""
    votes, rng = generated(50, 4, seed=3), np.random.default_rng(0)
    for within in (np.zeros(50), votes.groups):
        drawn = [votes.redrawn(rng, within=within) for _ in range(400)]
        assert all((np.isnan(each.values) == np.isnan(votes.values)).all() for each in drawn)
        shares = np.mean([each.shares for each in drawn], axis=0)
        np.testing.assert_allclose(shares, votes.shares, atol=5 * 0.5 / 16000**0.5)


def test_redrawn_votes_are_independent_within_a_class():
    """Two statements on which everybody votes alike; 4 standard errors of a correlation of 0."""
    votes = votes_of(np.repeat(np.random.default_rng(0).choice([-1, 1], (2000, 1)), 2, axis=1))
    redrawn = votes.redrawn(np.random.default_rng(1), within=np.zeros(2000))
    assert abs(np.corrcoef(redrawn.values.T)[0, 1]) < 4 / 2000**0.5


def test_every_person_is_in_exactly_one_part():
    parts = split_people(101, [0.7, 0.3], rng=np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(101))
    assert [len(part) for part in parts] == [71, 30]


def test_statements_with_most_votes_are_kept_in_their_order():
    values = np.ones((10, 5))
    values[:4, 0] = values[:2, 2] = values[:9, 4] = np.nan
    assert votes_of(values).most_voted(at_most=3, min_votes=2).statements == ("1", "2", "3")
    assert votes_of(values).most_voted(at_most=9, min_votes=6).statements == ("0", "1", "2", "3")
    with pytest.raises(UserError, match="2 statements have 10 votes or more"):
        votes_of(values).most_voted(at_most=9, min_votes=10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("participant,group-id,0\n1,0,2\n", "line 2, column 0: vote '2' is not 1, 0, -1 or empty"),
        ("participant,group-id,0\n1,0,yes\n", "vote 'yes' is not 1, 0, -1 or empty"),
        ("participant,group-id,n-votes\n1,0,2\n", "none of a statement"),
        ("participant,0\n1,1\n", "has no column group-id"),
        ("participant,group-id,0\n", "has no people"),
    ],
)
def test_a_file_that_is_no_table_of_votes_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "votes.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_votes(tmp_path / "votes.csv")


def test_rank_explained_variance_of_votes_is_that_of_their_borda_counts():
    """Independent source: all pairs of statements, all pairs of votes, ties half."""
    votes = generated(40, 8, seed=4)
    config = polis_setting.Config(num_resamples=2)
    setting = polis_setting.Setting(config, "opposed", votes, np.arange(30), np.arange(30, 40))
    better = np.array([[0.5, 0, 0], [1, 0.5, 0], [1, 1, 0.5]])
    borda = (votes.shares @ better @ votes.shares.T).mean(1)
    found = polis_measures.real_rank_explained_variance(setting).value
    assert found == pytest.approx(12 * borda.var(), rel=1e-12)


def test_contexts_match_groups_whatever_their_order():
    means = np.random.default_rng(0).uniform(-1, 1, (12, 2))
    family = make_family("shared_context")
    for order in ([0, 1], [1, 0]):
        raw = np.concatenate([3 * means[:, order] + 1, np.zeros((12, 2))], axis=1)
        fit = type("Fit", (), {"utility": family.decode(raw)})()
        assert list(polis_groups.match(fit, means).values()) == pytest.approx([1, 1, 1])


def check_report(text: str, out_dir: Path, title: str) -> dict[str, Any]:
    assert text.startswith(f"### {title}\n")
    assert text.strip() == (out_dir / "polis.md").read_text().strip()
    record = read_json(out_dir / "polis.json")
    for setting in record["settings"]:
        cells = setting["families"]
        for measure in ("log-likelihood", "accuracy", "Wasserstein", "Brier score"):
            assert set(FAMILIES) <= set(cells[measure]), measure
        for measure in ("r² pooled", "r² rank", "Spearman of std", "p of the label null"):
            assert set(FAMILIES) - {"base"} <= set(cells[measure]), measure
    assert "cross-validation" in record["stopping_rule"]
    return record


def test_a_small_conversation_is_measured_for_every_family(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(polis_setting, "RIDGES", (10.0, 30.0))
    monkeypatch.setattr(polis_setting, "NUM_FOLDS", 2)
    write_votes(tmp_path / "small" / "participants-votes.csv", generated(60, 8, seed=5))
    flags = [f"--data_dir={tmp_path}", "--conversation", "small", f"--out_dir={tmp_path / 'out'}"]
    assert run_command(polis_setting.Config, polis.run, [*flags, "--pairs", "opposed", *SMALL]) == 0
    first = capsys.readouterr()
    check_report(first.out, tmp_path / "out", "small: opposed")
    assert "small, opposed: base: ridge" in first.err


def test_the_published_votes_have_the_known_explained_variance(
    tmp_path: Path,
    published_data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    if not (published_data / "polis").is_dir():
        pytest.skip("no folder polis in the published data")
    monkeypatch.setattr(polis_setting, "RIDGES", (10.0,))
    monkeypatch.setattr(polis_setting, "NUM_FOLDS", 2)
    name = "brexit-consensus"
    flags = [f"--data_dir={published_data / 'polis'}", f"--out_dir={tmp_path}"]
    flags += ["--conversation", name, "--pairs", "with_ties", *SMALL]
    assert run_command(polis_setting.Config, polis.run, flags) == 0
    record = check_report(capsys.readouterr().out, tmp_path, f"{name}: with_ties")
    votes = read_votes(published_data / "polis" / name / "participants-votes.csv")
    votes = votes.most_voted(at_most=8, min_votes=5)
    mean, std = np.nanmean(votes.values, axis=0), np.nanstd(votes.values, axis=0)
    expected = mean.var() / (mean.var() + (std**2).mean())
    found = record["settings"][0]["families"]["r² pooled"]["votes"]["value"]
    assert found == pytest.approx(expected, rel=1e-12)


def test_missing_votes_are_told_where_to_get(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(polis_setting.Config, polis.run, [f"--data_dir={tmp_path}"]) == 2
    assert "get participants-votes.csv of a conversation from github.com" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--num_members=1", "--num_draws=0", "--num_statements=2"])
def test_too_little_to_measure_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
):
    assert run_command(polis_setting.Config, polis.run, [f"--data_dir={tmp_path}", flag]) == 2
    assert f"error: {flag.replace('=', ' is ')}; give at least" in capsys.readouterr().err

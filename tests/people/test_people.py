"""A distribution over people, against people who are known."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from simulated_people import drawn

from hidden_context import UserError
from hidden_context.people import Ballots, People, fit_people, read_ballots
from hidden_context.people.inference import infer, log_probabilities


def loss_of_rest(ballots: Ballots, model: People, known: int, asked_from: int) -> float:
    """Nats per comparison from number `asked_from` on, given the first `known` of each person."""
    number = np.arange(ballots.weight.shape[1])
    given = np.broadcast_to(number < known, ballots.weight.shape)
    asked = number >= asked_from
    pairs = ballots.first[:, asked], ballots.second[:, asked]
    wins = model.posterior(ballots.kept(given)).verdicts(*pairs)[0]
    won = ballots.shares[:, asked, 2] == 1
    return float(-np.log(np.where(won, wins, 1 - wins)).mean())


@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("grade", [0, 1, 2])
def test_one_comparison_is_integrated_exactly(threshold: float, grade: int):
    """Against adaptive quadrature of the likelihood times N(0, slope²)."""
    offset, slope = 0.4, 1.7
    shares = np.eye(3)[[[grade]]]
    found = infer(np.array([[offset]]), np.array([[[slope]]]), shares, np.ones((1, 1)), threshold)

    def times(power: int) -> float:
        def integrand(f: float) -> float:
            log = log_probabilities(np.array(offset + slope * f), threshold)[grade]
            return float(f**power * np.exp(log) * norm.pdf(f))

        return quad(integrand, -12, 12, epsabs=1e-12)[0]

    mass, mean = times(0), times(1) / times(0)
    assert found.log_evidence[0] == pytest.approx(np.log(mass), abs=1e-6)
    assert found.mean[0, 0] == pytest.approx(mean, abs=1e-6)
    assert found.covariance[0, 0, 0] == pytest.approx(times(2) / mass - mean**2, abs=1e-6)


def test_probabilities_of_the_three_outcomes_sum_to_one_at_the_extremes_too():
    ahead = np.array([-800.0, -3.0, 0.0, 5.0, 800.0])
    for threshold in (0.02, 1.0, 4.0):
        log = log_probabilities(ahead, threshold)
        assert np.isfinite(log).all()
        np.testing.assert_allclose(np.exp(log).sum(0), 1, atol=1e-12)


@pytest.fixture(scope="module")
def known():
    """600 people to fit, 250 to test; utilities of ten items, and what each of them said."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(10, 4))
    covariance = root @ root.T * 0.375 + 0.7 * np.eye(10)
    mean = 0.8 * rng.normal(size=10)
    utilities = mean + rng.normal(size=(850, 10)) @ np.linalg.cholesky(covariance).T
    ballots = drawn(utilities, 45, rng)
    fitted = np.arange(850) < 600
    model = fit_people(ballots.selected(fitted), num_directions=9, ridge=1.0)
    of_all = fit_people(ballots.selected(fitted), num_directions=0)
    return covariance, mean, utilities[~fitted], ballots.selected(~fitted), model, of_all


def test_mean_and_covariance_of_people_are_recovered(known):
    """Standard errors of a mean and of a variance of 600 people, were they seen: 4 of them."""
    covariance, mean, _, _, model, _ = known
    centred = np.eye(10) - 1 / 10
    truth = centred @ covariance @ centred
    error = 4 * np.sqrt(np.diag(truth) / 600)
    assert (abs(model.mean - (mean - mean.mean())) < error + 0.05).all()
    relative = np.diag(model.directions @ model.directions.T) / np.diag(truth)
    assert (abs(relative - 1) < 4 * np.sqrt(2 / 600) + 0.1).all()
    assert model.converged


def test_intervals_hold_a_persons_utilities_as_often_as_they_say(known):
    _, _, utilities, ballots, model, _ = known
    truth = utilities - utilities.mean(1, keepdims=True)
    for count in (1, 5, 20):
        person = model.posterior(ballots.kept(np.arange(45) < np.full((250, 1), count)))
        inside = abs(truth - person.utility.mean) < norm.ppf(0.95) * person.utility.std
        assert 0.88 < inside.mean() < 0.92


def test_more_comparisons_of_a_person_predict_her_better(known):
    _, _, _, ballots, model, _ = known
    losses = [loss_of_rest(ballots, model, count, 20) for count in (0, 1, 3, 5, 10, 20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 0.09


def test_of_somebody_unknown_it_says_what_the_population_says(known):
    """No worse than Bradley–Terry for all people together, by at most .002 nats."""
    _, _, _, ballots, model, of_all = known
    assert loss_of_rest(ballots, model, 0, 20) < loss_of_rest(ballots, of_all, 0, 20) + 0.002


@pytest.mark.slow
def test_where_nobody_differs_next_to_nothing_is_lost_or_gained():
    """On 200 others, whatever number of directions is chosen on few people."""
    rng = np.random.default_rng(3)
    ballots = drawn(np.tile(rng.normal(size=6), (320, 1)), 30, rng)
    fitted, others = ballots.selected(np.arange(120)), ballots.selected(np.arange(120, 320))
    model, of_all = fit_people(fitted), fit_people(fitted, num_directions=0)
    assert model.directions.shape[1] <= 2
    for count in (0, 5, 20):
        excess = loss_of_rest(others, model, count, 20) - loss_of_rest(others, of_all, count, 20)
        assert abs(excess) < 0.005


def test_the_best_of_eight_for_a_person_is_better_the_more_is_known_of_her(known):
    """Regret: the utility to her of her best of eight items less that of the one chosen for her."""
    _, _, utilities, ballots, model, _ = known
    eight = np.random.default_rng(8).permuted(np.tile(np.arange(10), (250, 1)), axis=1)[:, :8]
    truth = np.take_along_axis(utilities, eight, 1)
    regrets = []
    for count in (0, 1, 3, 5, 10, 20, 45):
        person = model.posterior(ballots.kept(np.arange(45) < np.full((250, 1), count)))
        found = np.take_along_axis(person.utility.mean, eight, 1)
        chosen = np.take_along_axis(truth, found.argmax(1)[:, None], 1)[:, 0]
        regrets.append(float((truth.max(1) - chosen).mean()))
    assert regrets == sorted(regrets, reverse=True)
    assert regrets[-1] < 0.35 * regrets[0]


def two_groups(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray, Ballots]:
    groups = 1.2 * rng.normal(size=(2, 10))
    member = rng.integers(2, size=people)
    return groups, member, drawn(groups[member], 45, rng)


def excess_over_the_groups(groups: np.ndarray, rest: Ballots, model: People, count: int) -> float:
    """Nats per comparison more than who knows both groups, after `count` comparisons of each."""
    given = np.arange(45) < count
    prob = [expit(one[rest.first] - one[rest.second]) for one in groups]
    log = [np.log(np.where(rest.shares[..., 2] == 1, one, 1 - one)) for one in prob]
    share = expit((log[1] - log[0])[:, given].sum(1))[:, None]
    truth = share * prob[1][:, 20:] + (1 - share) * prob[0][:, 20:]
    won = rest.shares[:, 20:, 2] == 1
    best = -np.log(np.where(won, truth, 1 - truth)).mean()
    return loss_of_rest(rest, model, count, 20) - float(best)


def test_two_clusters_are_two_groups():
    groups, member, ballots = two_groups(np.random.default_rng(2), 160)
    model = fit_people(
        ballots.selected(np.arange(100)), num_directions=1, num_clusters=2, ridge=1.0
    )
    rest = ballots.selected(np.arange(100, 160))
    person = model.posterior(rest.kept(np.arange(45) < np.full((60, 1), 20)))
    found = person.cluster_probs.argmax(1) == 1
    assert max((found == member[100:]).mean(), (found != member[100:]).mean()) > 0.9
    utility = model.utility
    assert utility.cdf(utility.quantile(0.3))[0] == pytest.approx(0.3, abs=1e-6)
    for count in (0, 5, 20):
        assert -0.01 < excess_over_the_groups(groups, rest, model, count) < 0.01


@pytest.mark.slow
def test_two_groups_are_told_apart_almost_as_by_their_truth():
    """Within .005 nats at every n; one normal is .007 off after 20."""
    groups, _, ballots = two_groups(np.random.default_rng(2), 500)
    model = fit_people(ballots.selected(np.arange(300)))
    assert len(model.clusters) == 2
    rest = ballots.selected(np.arange(300, 500))
    for count in (0, 1, 5, 20):
        assert -0.001 < excess_over_the_groups(groups, rest, model, count) < 0.005


@pytest.mark.slow
def test_normal_people_are_not_taken_for_clusters_to_their_loss(known):
    ballots = known[3]
    clusters = fit_people(ballots.selected(np.arange(150)), num_directions=4, num_clusters=2)
    one = fit_people(ballots.selected(np.arange(150)), num_directions=4)
    rest = ballots.selected(np.arange(150, 250))
    for count in (0, 5, 20):
        excess = loss_of_rest(rest, clusters, count, 20) - loss_of_rest(rest, one, count, 20)
        assert excess < 0.005


@pytest.mark.slow
def test_people_of_a_hundred_items():
    """Correlated in four directions; 90 % intervals, and what is gained."""
    rng = np.random.default_rng(9)
    directions = rng.normal(size=(100, 4)) * 0.7
    utilities = 0.8 * rng.normal(size=100) + rng.normal(size=(800, 4)) @ directions.T
    ballots = drawn(utilities, 60, rng)
    model = fit_people(ballots.selected(np.arange(400)), num_directions=4)
    rest = ballots.selected(np.arange(400, 800))
    truth = utilities[400:] - utilities[400:].mean(1, keepdims=True)
    losses = []
    for count in (0, 5, 20, 40):
        person = model.posterior(rest.kept(np.arange(60) < np.full((400, 1), count)))
        inside = abs(truth - person.utility.mean) < norm.ppf(0.95) * person.utility.std
        assert 0.88 < inside.mean() < 0.92
        losses.append(loss_of_rest(rest, model, count, 40))
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_ties_are_a_habit_of_the_person():
    """Two kinds of people, who call an even pair a tie in 5 % and in 64 % of the cases."""
    rng = np.random.default_rng(4)
    utilities = 0.8 * rng.normal(size=(400, 8))
    kinds = [
        drawn(half, 40, rng, tau) for half, tau in ((utilities[:200], 0.1), (utilities[200:], 1.5))
    ]
    arrays: Any = {
        name: np.concatenate([getattr(one, name) for one in kinds])
        for name in ("first", "second", "shares", "weight")
    }
    both = Ballots(**arrays, items=kinds[0].items, people=tuple(range(400)))
    model = fit_people(both, num_directions=7)
    assert model.threshold_shares[:2].sum() == pytest.approx(0.5, abs=0.08)
    assert model.threshold_shares[4:7].sum() == pytest.approx(0.5, abs=0.08)
    person = model.posterior(both.kept(np.arange(40) < np.full((400, 1), 10)))
    expected = person.threshold_probs @ model.thresholds
    assert (expected[200:] > 0.5).mean() > 0.9 > 0.1 > (expected[:200] > 0.5).mean()
    truth = utilities - utilities.mean(1, keepdims=True)
    inside = abs(truth - person.utility.mean) < norm.ppf(0.95) * person.utility.std
    assert 0.88 < inside.mean() < 0.92


ROWS = [
    {"first": "a", "second": "b", "winner": "a", "annotator": "x"},
    {"first": "a", "second": "c", "winner": "tie", "annotator": "y"},
    {"first": "c", "second": "b", "winner": "b", "annotator": "x"},
]


def test_tables_are_read_by_person():
    ballots = read_ballots(ROWS)
    assert ballots.people == ("x", "y")
    assert ballots.items == ("a", "b", "c")
    assert ballots.first.tolist() == [[0, 1], [0, 0]]  # the one that won comes first
    assert ballots.weight.tolist() == [[1, 1], [1, 0]]
    assert ballots.shares[:, 0].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert ballots.has_ties
    assert ballots.selected(np.array([1])).first.tolist() == [[0]]


def test_a_ballot_of_somebody_new_may_not_name_unknown_items():
    model = fit_people(ROWS, num_directions=1)
    new = model.posterior([{"first": "b", "second": "a", "winner": "b", "annotator": "z"}])
    assert new.people == ("z",)
    assert new.utility.mean.shape == (1, 3)
    with pytest.raises(UserError, match=r"item 'd' is not among the 3 items"):
        model.posterior([{"first": "d", "second": "a", "winner": "d", "annotator": "z"}])


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([{**row, "annotator": None} for row in ROWS], {}, "nothing says who compared"),
        ([*ROWS[:2], {**ROWS[2], "annotator": None}], {}, "comparison 3 does not say who"),
        (ROWS[:1], {}, "1 people compared 2 items"),
        (ROWS, {"num_directions": 3}, "num_directions is 3; 3 items have 0 to 2"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows: list, settings: dict, message: str):
    with pytest.raises(UserError, match=message):
        fit_people(rows, **settings)


def test_the_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]):
    page = (Path(__file__).parents[2] / "docs" / "people.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(program, {})
    assert "People(60 people, 3 items" in capsys.readouterr().out

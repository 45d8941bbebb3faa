"""The histogram family against sums, integrals and samples of the histogram that it stands for."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from hidden_context.distributions import Categorical
from hidden_context.distributions.categorical import HistogramUtility

SAMPLES = 200_000


def make_raw(num_atoms: int, *batch: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(*batch, num_atoms))


def from_mass(mass: list[float]) -> HistogramUtility:
    return HistogramUtility(np.log(np.array(mass)))


def sample(mass: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bins = rng.choice(len(mass), size=SAMPLES, p=mass)
    return (bins + rng.uniform(size=SAMPLES)) / len(mass)


# Preferences

every_width = pytest.mark.parametrize("num_atoms", [2, 3, 10, 20])


@every_width
def test_preference_is_the_double_sum_with_ties_shared_evenly(num_atoms: int) -> None:
    raw_a, raw_b = make_raw(num_atoms, 2, 6, scale=3.0)
    p, q = scipy.special.softmax(raw_a, axis=-1), scipy.special.softmax(raw_b, axis=-1)
    wins = np.tri(num_atoms, k=-1) + 0.5 * np.eye(num_atoms)
    expected = np.log(np.einsum("ri,ij,rj->r", p, wins, q))
    family = Categorical(num_atoms=num_atoms)
    found = family.decode(raw_a).log_prob_preferred_to(family.decode(raw_b))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@every_width
def test_sharing_ties_evenly_is_exact_for_the_continuous_histogram(num_atoms: int) -> None:
    """P(A > B) = ∫ f_A F_B; F_B is linear within a bin, so that its middle integrates it."""
    family = Categorical(num_atoms=num_atoms)
    a, b = (family.decode(make_raw(num_atoms, seed=seed)) for seed in (0, 1))
    middles = (np.arange(num_atoms) + 0.5) / num_atoms
    expected = sum(a.mass[i] * b.cdf(middle) for i, middle in enumerate(middles))
    np.testing.assert_allclose(a.prob_preferred_to(b), expected, rtol=1e-10)


@every_width
def test_preference_is_the_share_of_samples_that_win(num_atoms: int) -> None:
    rng = np.random.default_rng(0)
    family = Categorical(num_atoms=num_atoms)
    a, b = (family.decode(make_raw(num_atoms, seed=seed)) for seed in (2, 3))
    share = np.mean(sample(a.mass, rng) > sample(b.mass, rng))
    margin = 4.5 * math.sqrt(0.25 / SAMPLES)  # 7 in a million by chance
    assert share == pytest.approx(float(a.prob_preferred_to(b)), abs=margin)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_opposite_logits_of_200_have_their_log_probability_and_gradient(dtype: torch.dtype) -> None:
    """A is lowest and B highest but for e^-200 in the middle and e^-400 at the other end.

    A draws level, and so wins half the time, in each of the three bins with chance e^-400.
    """
    low = torch.tensor([200.0, 0.0, -200.0], dtype=dtype, requires_grad=True)
    high = torch.tensor([-200.0, 0.0, 200.0], dtype=dtype, requires_grad=True)
    family = Categorical(num_atoms=3)
    log_prob = family.decode(low).log_prob_preferred_to(family.decode(high))
    log_prob.backward()
    assert log_prob.item() == pytest.approx(-400 + math.log(1.5), rel=1e-6)
    for raw in (low, high):
        assert raw.grad is not None
        assert raw.grad.isfinite().all()
        assert raw.grad.abs().sum() > 0.1


def test_gradients_are_those_of_finite_differences() -> None:
    family = Categorical(num_atoms=5)
    raw = torch.from_numpy(make_raw(5, 2, 3)).requires_grad_()

    def statistics(raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = family.decode(raw[0]), family.decode(raw[1])
        return a.log_prob_preferred_to(b), a.mean, a.std, a.quantile(0.2), a.cvar(0.2), a.cdf(0.33)

    assert torch.autograd.gradcheck(statistics, raw)


# Distribution functions, by hand


@pytest.mark.parametrize(
    ("level", "expected"), [(0.1, 1 / 6), (0.2, 1 / 3), (0.35, 0.5), (0.5, 2 / 3), (0.75, 5 / 6)]
)
def test_quantile_fills_bins_from_below(level: float, expected: float) -> None:
    """Bins of .2, .3 and .5: level .35 is halfway through the second, the middle of [0, 1]."""
    utility = from_mass([0.2, 0.3, 0.5])
    assert utility.quantile(level) == pytest.approx(expected)
    assert utility.cdf(expected) == pytest.approx(level)


def test_quantile_passes_over_empty_bins() -> None:
    utility = Categorical(num_atoms=4).decode(np.array([-900.0, 0.0, -900.0, 0.0]))
    assert utility.quantile(0.25) == pytest.approx(0.375)
    assert utility.quantile(0.499999) == pytest.approx(0.5, abs=1e-5)
    assert utility.quantile(0.500001) == pytest.approx(0.75, abs=1e-5)


def test_cdf_is_0_below_the_histogram_and_1_above_it() -> None:
    utility = from_mass([0.2, 0.3, 0.5])
    for outside, expected in [(-1.0, 0), (0.0, 0), (1.0, 1), (7.0, 1)]:
        assert utility.cdf(outside) == pytest.approx(expected)


@every_width
def test_distribution_functions_are_those_of_scipy(num_atoms: int) -> None:
    utility = Categorical(num_atoms=num_atoms).decode(make_raw(num_atoms))
    expected = scipy.stats.rv_histogram((utility.mass, np.linspace(0, 1, num_atoms + 1)))
    assert utility.mean == pytest.approx(expected.mean())
    assert utility.variance == pytest.approx(expected.var())
    for share in (0.01, 0.4, 0.99):
        assert utility.quantile(share) == pytest.approx(expected.ppf(share))
        assert utility.cdf(share) == pytest.approx(expected.cdf(share))


# Published moments


@every_width
def test_published_moments_are_an_affine_map_of_the_histograms(num_atoms: int) -> None:
    raw, n = make_raw(num_atoms, 7), num_atoms
    family = Categorical(num_atoms=n)
    bins, atoms = family.decode(raw), family.with_published_moments().decode(raw)
    np.testing.assert_allclose(atoms.mean, (n * bins.mean - 0.5) / (n - 1), rtol=1e-10)
    between_bins = bins.variance - 1 / (12 * n**2)
    np.testing.assert_allclose(atoms.variance, between_bins * (n / (n - 1)) ** 2, rtol=1e-10)


def test_published_moments_are_those_of_points_on_a_grid() -> None:
    raw = make_raw(10, 7)
    mass, points = scipy.special.softmax(raw, axis=-1), np.linspace(0, 1, 10)
    utility = Categorical().with_published_moments().decode(raw)
    np.testing.assert_allclose(utility.mean, mass @ points, rtol=1e-10)
    np.testing.assert_allclose(
        utility.variance, mass @ points**2 - (mass @ points) ** 2, rtol=1e-10
    )


def test_published_moments_change_neither_preferences_nor_quantiles() -> None:
    bins, atoms = Categorical(), Categorical(moments="atoms")
    a, b = make_raw(10, 2, 7)
    np.testing.assert_array_equal(
        bins.decode(a).log_prob_preferred_to(bins.decode(b)),
        atoms.decode(a).log_prob_preferred_to(atoms.decode(b)),
    )
    np.testing.assert_array_equal(bins.decode(a).quantile(0.01), atoms.decode(a).quantile(0.01))


# Entropy


def entropy(mass: np.ndarray) -> np.ndarray:
    return scipy.special.entr(mass).sum(-1)


def test_the_paper_rewards_the_mean_entropy_and_its_code_the_entropy_of_the_mean() -> None:
    raw = make_raw(10, 4, 3, scale=2.0)
    mass = scipy.special.softmax(raw, axis=-1)
    for rewarded, expected in [
        ("each", entropy(mass).mean()),
        ("batch", entropy(mass.reshape(-1, 10).mean(0))),
    ]:
        family = Categorical(entropy_coeff=0.25, entropy=rewarded)
        for given in (raw, torch.from_numpy(raw)):
            assert family.regularizer(family.decode(given)) == pytest.approx(-0.25 * expected)
    assert Categorical().as_published() == Categorical(entropy="batch")


@pytest.mark.parametrize("rewarded", ["each", "batch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_entropy_is_finite_when_bins_underflow(rewarded: str, dtype: torch.dtype) -> None:
    raw = torch.full((2, 10), -1000.0, dtype=dtype)
    raw[:, 3] = 1000.0
    raw.requires_grad_()
    family = Categorical(entropy=rewarded)
    penalty = family.regularizer(family.decode(raw))
    penalty.backward()
    assert penalty == 0
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize(
    ("rewarded", "expected"), [("each", 0.0), ("batch", math.log(2))], ids=["each", "batch"]
)
def test_certain_but_different_responses_have_entropy_only_as_a_batch(
    rewarded: str, expected: float
) -> None:
    raw = np.full((2, 10), -1000.0)
    raw[[0, 1], [3, 8]] = 1000.0
    family = Categorical(entropy_coeff=1.0, entropy=rewarded)
    assert family.regularizer(family.decode(raw)) == pytest.approx(-expected)

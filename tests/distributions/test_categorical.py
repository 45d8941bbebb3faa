"""The histogram family against sums, integrals and samples of the histogram that it stands for."""

import math

import numpy as np
import pytest
import scipy.integrate
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


# Margins

MARGINS = [-0.97, -0.5, -0.3, -0.01, 0.01, 0.25, 0.3, 0.5, 0.77, 0.999]


def prob_ahead(mass_a: np.ndarray, mass_b: np.ndarray, margin: float) -> float:
    """P(A - B > margin) = ∫ f_A(u) F_B(u - margin) du, whose integrand has kinks at both grids."""
    edges = np.linspace(0, 1, len(mass_a) + 1)
    law_a, law_b = (scipy.stats.rv_histogram((mass, edges)) for mass in (mass_a, mass_b))
    kinks = np.unique(np.clip(np.concatenate([edges, edges + margin]), 0, 1))
    middles, widths = (kinks[1:] + kinks[:-1]) / 2, np.diff(kinks)
    return float((law_a.pdf(middles) * law_b.cdf(middles - margin) * widths).sum())


@every_width
@pytest.mark.parametrize("margin", MARGINS)
def test_the_chance_of_a_margin_is_the_integral_of_the_histograms(
    num_atoms: int, margin: float
) -> None:
    """F_B is linear between kinks, so that their middles integrate it."""
    raw = make_raw(num_atoms, 2, scale=2.0)
    mass = scipy.special.softmax(raw, axis=-1)
    a, b = map(Categorical(num_atoms=num_atoms).decode, raw)
    expected = math.log(prob_ahead(mass[0], mass[1], margin))
    for given in (margin, np.array(margin)):
        found = a.log_prob_preferred_to(b, given)
        np.testing.assert_allclose(found, expected, rtol=1e-8)


@every_width
def test_utilities_are_ahead_by_a_margin_as_often_as_their_samples(num_atoms: int) -> None:
    rng = np.random.default_rng(0)
    a, b = (Categorical(num_atoms=num_atoms).decode(make_raw(num_atoms, seed=s)) for s in (2, 3))
    ahead = sample(a.mass, rng) - sample(b.mass, rng)
    error = 4.5 * math.sqrt(0.25 / SAMPLES)  # 7 in a million by chance
    for margin in MARGINS:
        expected = math.exp(a.log_prob_preferred_to(b, margin))
        assert np.mean(ahead > margin) == pytest.approx(expected, abs=error)


@every_width
def test_the_chance_of_a_margin_falls_without_a_jump(num_atoms: int) -> None:
    """Its slope is minus the density of a difference, at most n; at 0 it is the preference."""
    a, b = map(Categorical(num_atoms=num_atoms).decode, make_raw(num_atoms, 2, scale=3.0))
    margins = np.linspace(-1.2, 1.2, 481)
    prob = np.exp(a.log_prob_preferred_to(b, margins))
    assert (np.diff(prob) <= 1e-15).all()
    assert (np.diff(prob) >= -num_atoms * (margins[1] - margins[0]) - 1e-15).all()
    for tiny in (-1e-20, 1e-20, np.array(0.0)):
        np.testing.assert_allclose(
            a.log_prob_preferred_to(b, tiny), a.log_prob_preferred_to(b), rtol=1e-12
        )


@every_width
def test_one_is_ahead_by_a_margin_or_the_other_is_not_behind_by_it(num_atoms: int) -> None:
    a, b = map(Categorical(num_atoms=num_atoms).decode, make_raw(num_atoms, 2, 5, 1, scale=3.0))
    margins = np.linspace(-1.1, 1.1, 45)
    total = np.exp(a.log_prob_preferred_to(b, margins)) + np.exp(
        b.log_prob_preferred_to(a, -margins)
    )
    assert total.shape == (5, 45)
    np.testing.assert_allclose(total, 1.0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
def test_no_utility_is_ahead_by_the_whole_scale_but_one_may_be_by_nearly_as_much(
    dtype: type,
) -> None:
    """Just below margin 1 only the last bin against the first counts: p q (n(1 - m))²/2."""
    raw = make_raw(10, 2).astype(dtype)
    a, b = map(Categorical().decode, raw)
    for margin in (1.0, 1.5):
        assert a.log_prob_preferred_to(b, margin) == -math.inf
        assert a.log_prob_preferred_to(b, -margin) == 0
    below = np.nextafter(dtype(1), dtype(0))
    lost = 10.0 * float(1 - below)
    expected = a.log_mass[-1] + b.log_mass[0] + math.log(lost**2 / 2)
    np.testing.assert_allclose(a.log_prob_preferred_to(b, np.array(below)), expected, rtol=1e-6)
    assert Categorical.largest_margin == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("margin", [-2.0, -1.0, -0.3, -1e-20, 0.0, 0.31, 0.9999999, 1.0, 2.0])
def test_gradients_with_a_margin_are_finite_at_extreme_outputs(
    dtype: torch.dtype, margin: float
) -> None:
    rising = torch.linspace(-1000, 1000, 10, dtype=dtype)
    a, b = (torch.stack([sign * rising, 0 * rising]).requires_grad_() for sign in (1, -1))
    learned = torch.tensor(margin, dtype=dtype, requires_grad=True)
    family = Categorical()
    for first, second in ((a, b), (b, a)):
        log_prob = family.decode(first).log_prob_preferred_to(family.decode(second), learned)
        assert bool(log_prob.isfinite().all()) == (learned.item() < 1)
        for gradient in torch.autograd.grad(log_prob.sum(), (a, b, learned)):
            assert gradient.isfinite().all()


def test_gradients_with_a_margin_are_those_of_finite_differences() -> None:
    family = Categorical(num_atoms=5)
    raw = torch.from_numpy(make_raw(5, 2, 4)).requires_grad_()
    margin = torch.tensor([0.33, -0.17, 0.71, -0.93], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda raw, margin: family.decode(raw[0]).log_prob_preferred_to(
            family.decode(raw[1]), margin
        ),
        (raw, margin),
    )


@every_width
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-6), (torch.float64, 1e-10)])
@pytest.mark.parametrize("scale", [1.0, 5.0, 9.0])
def test_sums_of_probabilities_are_those_in_logs_with_the_same_gradients(
    num_atoms: int, dtype: torch.dtype, rtol: float, scale: float
) -> None:
    margins = torch.tensor([-0.999, -0.5, -0.31, 0.0, 1e-6, 0.05, 0.49, 0.5, 0.73], dtype=dtype)
    raw = torch.from_numpy(make_raw(num_atoms, 2, 6, 1, scale=scale)).to(dtype)
    results = []
    for method in ("log_prob_preferred_to", "_log_prob_ahead_by"):
        given = [raw.clone().requires_grad_(), margins.clone().requires_grad_()]
        a, b = map(Categorical(num_atoms=num_atoms).decode, given[0])
        log_prob = getattr(a, method)(b, given[1])
        results.append([log_prob.detach(), *torch.autograd.grad(log_prob.sum(), given)])
    for found, expected in zip(*results, strict=True):
        size = max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_chances_that_all_but_underflow_are_as_in_logs(dtype: torch.dtype) -> None:
    """Down to and beyond what sums of products can hold: -log P of about 10 to 100, or 700."""
    most = 200 if dtype == torch.float32 else 1400
    heights = torch.linspace(20, most, 60, dtype=dtype)
    rising = torch.linspace(0, 0.5, 10, dtype=dtype)
    for height in heights:
        raw = torch.stack([-rising * height, rising * height]).requires_grad_()
        a, b = map(Categorical().decode, raw)
        for margin in (-0.3, 0.0, 0.37):
            found, expected = (
                method(b, torch.tensor(margin, dtype=dtype))
                for method in (a.log_prob_preferred_to, a._log_prob_ahead_by)
            )
            np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-6)
            slopes = [
                torch.autograd.grad(each, raw, retain_graph=True)[0] for each in (found, expected)
            ]
            np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-5)


# Certainty equivalent


@every_width
@pytest.mark.parametrize("risk_aversion", [1e-3, 0.3, 0.99, 1.01, 7.0, 200.0])
def test_the_certainty_equivalent_is_that_of_integration(
    num_atoms: int, risk_aversion: float
) -> None:
    """Bin by bin, relative to the worst utility of each bin, so that exp(-θu) stays in range."""
    utility = Categorical(num_atoms=num_atoms).decode(make_raw(num_atoms, scale=3.0))
    within, _ = scipy.integrate.quad(
        lambda share: math.exp(-risk_aversion * share / num_atoms), 0, 1, epsabs=0, epsrel=1e-12
    )
    worst = np.arange(num_atoms) / num_atoms
    log_mean = scipy.special.logsumexp(utility.log_mass - risk_aversion * worst)
    expected = -(log_mean + math.log(within)) / risk_aversion
    assert utility.entropic(risk_aversion) == pytest.approx(expected, rel=1e-9)


@every_width
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
def test_the_certainty_equivalent_falls_from_the_mean_to_the_worst(
    num_atoms: int, dtype: type
) -> None:
    utility = Categorical(num_atoms=num_atoms).decode(make_raw(num_atoms, 3).astype(dtype))
    rounding = 8 * np.finfo(dtype).eps
    found = np.stack([utility.entropic(10.0**power) for power in np.linspace(-300, 300, 601)])
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) <= rounding).all()
    np.testing.assert_allclose(found[0], utility.mean, atol=rounding)
    np.testing.assert_allclose(found[-1], 0.0, atol=rounding)


def test_a_small_risk_aversion_takes_half_of_it_times_the_variance_off_the_mean() -> None:
    """-log E[exp(-θU)]/θ = mean - θ variance/2 + O(θ²), the third cumulant being below .1."""
    utility = Categorical().decode(make_raw(10, 4))
    for risk_aversion in (1e-9, 1e-7, 1e-4):
        expected = utility.mean - risk_aversion / 2 * utility.variance
        found = utility.entropic(risk_aversion)
        np.testing.assert_allclose(found, expected, atol=risk_aversion**2 / 60 + 1e-15)


def test_the_certainty_equivalent_is_of_the_histogram_for_published_moments_too() -> None:
    raw = make_raw(10, 4)
    bins, atoms = Categorical().decode(raw), Categorical(moments="atoms").decode(raw)
    np.testing.assert_array_equal(bins.entropic(2.0), atoms.entropic(2.0))


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

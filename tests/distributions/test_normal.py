"""The normal family against scipy, its links against each other, and both against exact data."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
import torch

from hidden_context.distributions import Normal, family_from_dict, make_family
from hidden_context.distributions.normal import LARGEST_SCALE, LINKS, NormalUtility
from hidden_context.distributions.special import log_normal_cdf
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import preference_loss
from hidden_context.measures.explained_variance import explained_variance

MEAN, STD = np.array([-1.5, 0.0, 3.0]), np.array([0.3, 1.0, 2.5])


@pytest.fixture
def utility() -> NormalUtility:
    return NormalUtility(MEAN, STD, "probit")


# Against scipy


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 3e-5), (np.float64, 1e-12)], ids=str)
def test_cdf_is_that_of_scipy_in_both_tails(dtype: type, rtol: float) -> None:
    utility = NormalUtility(MEAN[:, None].astype(dtype), STD[:, None].astype(dtype), "probit")
    z = np.array([-8.0, -5.0, -1.0, 0.0, 0.4, 8.0])
    values = (MEAN[:, None] + STD[:, None] * z).astype(dtype)
    expected = scipy.stats.norm.cdf(values, utility.location, utility.scale)
    np.testing.assert_allclose(utility.cdf(values), expected, rtol=rtol)


@pytest.mark.parametrize("level", [1e-9, 0.01, 0.3, 0.5, 0.999])
def test_quantile_is_that_of_scipy(utility: NormalUtility, level: float) -> None:
    expected = scipy.stats.norm.ppf(level, MEAN, STD)
    np.testing.assert_allclose(utility.quantile(level), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(utility.quantile(np.full(3, level)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("level", [0.01, 0.3, 0.9])
def test_cvar_is_the_mean_of_the_lower_tail_by_scipy(utility: NormalUtility, level: float) -> None:
    laws = [scipy.stats.norm(mean, std) for mean, std in zip(MEAN, STD, strict=True)]
    expected = np.array([law.expect(ub=law.ppf(level), conditional=True) for law in laws])
    np.testing.assert_allclose(utility.cvar(level), expected, rtol=1e-8)


def test_preference_is_the_chance_that_one_normal_exceeds_another(utility: NormalUtility) -> None:
    other = NormalUtility(np.array([0.2, 0.1, -40.0]), np.array([2.0, 0.5, 1.5]), "probit")
    difference = scipy.stats.norm(
        utility.mean - other.mean, np.sqrt(utility.variance + other.variance)
    )
    np.testing.assert_allclose(
        utility.log_prob_preferred_to(other), difference.logsf(0.0), rtol=1e-12
    )
    np.testing.assert_allclose(
        other.log_prob_preferred_to(utility), difference.logcdf(0.0), rtol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_log_normal_cdf_is_that_of_scipy(dtype: torch.dtype) -> None:
    z = torch.linspace(-30, 8, 1001, dtype=dtype)
    expected = scipy.stats.norm.logcdf(z.double().numpy())
    np.testing.assert_allclose(log_normal_cdf(z), expected, rtol=1e-5)


CORRELATIONS = [-0.999, -0.4, 0.3, 0.999999]
SOME_PAIR = ((0.3, 0.5), (-0.1, 1.5))
"""Mean and deviation of two utilities."""


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("margin", [-2.0, 0.0, 0.7])
def test_preference_is_the_chance_that_one_correlated_normal_exceeds_another(
    correlation: float, margin: float
) -> None:
    a, b = (
        NormalUtility(mean, std, "probit", correlation)
        for mean, std in ((MEAN, STD), (np.array([0.2, 0.1, -4.0]), np.array([2.0, 0.5, 1.5])))
    )
    variance = a.variance + b.variance - 2 * correlation * a.std * b.std
    difference = scipy.stats.norm(a.mean - b.mean, np.sqrt(variance))
    found = a.log_prob_preferred_to(b, margin)
    np.testing.assert_allclose(found, difference.logsf(margin), rtol=1e-11)
    found = b.log_prob_preferred_to(a, -margin)
    np.testing.assert_allclose(found, difference.logcdf(margin), rtol=1e-11)


@pytest.mark.parametrize("correlation", [-0.8, 0.8])
def test_correlated_utilities_are_ahead_by_a_margin_as_often_as_their_samples(
    correlation: float,
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=200_000).T
    a, b = (NormalUtility(np.array(m), np.array(s), "probit", correlation) for m, s in SOME_PAIR)
    ahead = (a.mean + a.std * noise[0]) - (b.mean + b.std * noise[1])
    margin = 4.5 * math.sqrt(0.25 / 200_000)  # 7 in a million by chance
    for threshold in (-1.0, 0.0, 0.5):
        expected = math.exp(a.log_prob_preferred_to(b, threshold))
        assert np.mean(ahead > threshold) == pytest.approx(expected, abs=margin)


def test_without_correlation_the_result_is_that_of_independent_utilities_to_the_last_bit() -> None:
    raw = np.random.default_rng(0).normal(size=(2, 500, 2)).astype(np.float32)
    a, b = (Normal().decode(side) for side in raw)
    z = (a.location - b.location) / np.hypot(a.scale, b.scale)
    np.testing.assert_array_equal(a.log_prob_preferred_to(b), log_normal_cdf(z))
    np.testing.assert_array_equal(a.log_prob_preferred_to(b, 0.0), log_normal_cdf(z))


def test_what_all_responses_share_stays_as_it_is_when_some_are_taken() -> None:
    learned = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    family = dataclasses.replace(Normal(link="logit"), correlation=learned)
    some = family.decode(torch.zeros(5, 2, dtype=torch.float64))[1:3]
    assert some.correlation is learned
    assert some.link == "logit"


def test_a_learned_correlation_of_zero_is_none() -> None:
    raw = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    learned = dataclasses.replace(Normal(), correlation=torch.zeros((), dtype=torch.float64))
    np.testing.assert_allclose(
        learned.decode(raw[0]).log_prob_preferred_to(learned.decode(raw[1])),
        Normal().decode(raw[0]).log_prob_preferred_to(Normal().decode(raw[1])),
        rtol=1e-12,
    )


@pytest.mark.parametrize("std", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("own_share", [1e-3, 1e-6])
def test_equal_deviations_leave_what_is_not_shared_in_float32(std: float, own_share: float) -> None:
    """s² = 2(1 - ρ)σ², which σ² + σ² - 2ρσ² would lose in rounding."""
    correlation = 1 - own_share
    ahead = std * math.sqrt(2 * own_share)  # z = 1
    a, b = (
        NormalUtility(
            np.array([mean], np.float32), np.array([std], np.float32), "probit", correlation
        )
        for mean in (ahead, 0.0)
    )
    expected = scipy.stats.norm.logcdf(1.0)
    np.testing.assert_allclose(a.log_prob_preferred_to(b), expected, rtol=1e-5)


@pytest.mark.parametrize("correlation", [1.0, -1.0, 1.5, float("nan"), float("inf")])
def test_a_correlation_of_one_or_more_is_refused(correlation: float) -> None:
    with pytest.raises(UserError, match="between -1 and 1"):
        Normal(correlation=correlation)


@pytest.mark.parametrize("risk_aversion", [1e-6, 0.1, 1.0, 3.0])
def test_the_certainty_equivalent_is_that_of_scipy(
    utility: NormalUtility, risk_aversion: float
) -> None:
    """E[exp(-θ(U - mean))] by integration, which is as wide as the deviation."""

    def expected(mean: float, std: float) -> float:
        shift = risk_aversion * std  # where the integrand peaks
        value, _ = scipy.integrate.quad(
            lambda z: math.exp(-shift * z - z * z / 2 - shift**2 / 2) / math.sqrt(2 * math.pi),
            -shift - 12,
            -shift + 12,
        )
        return mean - (math.log(value) + shift**2 / 2) / risk_aversion

    np.testing.assert_allclose(
        utility.entropic(risk_aversion),
        [expected(mean, std) for mean, std in zip(MEAN, STD, strict=True)],
        rtol=1e-8,
        atol=1e-8,
    )


# Gradients


def gradient_of_log_normal_cdf(z: torch.Tensor) -> torch.Tensor:
    z = z.requires_grad_()
    return torch.autograd.grad(log_normal_cdf(z).sum(), z)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("z", [-1e4, -1e6])
def test_gradient_in_the_far_lower_tail_is_minus_z(dtype: torch.dtype, z: float) -> None:
    """φ(z)/Φ(z) = -z (1 + 1/z² + …); torch's own gradient cancels there in float32."""
    assert gradient_of_log_normal_cdf(torch.tensor(z, dtype=dtype)) == pytest.approx(-z, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("z", [50.0, 1e4, 1e6])
def test_gradient_in_the_far_upper_tail_is_zero(dtype: torch.dtype, z: float) -> None:
    assert gradient_of_log_normal_cdf(torch.tensor(z, dtype=dtype)) == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=str
)
def test_gradient_is_the_inverse_mills_ratio(dtype: torch.dtype, rtol: float) -> None:
    z = torch.linspace(-30, 8, 1001, dtype=dtype)
    exact = z.double().numpy()
    expected = np.exp(scipy.stats.norm.logpdf(exact) - scipy.stats.norm.logcdf(exact))
    np.testing.assert_allclose(gradient_of_log_normal_cdf(z), expected, rtol=rtol)


@pytest.mark.parametrize("link", LINKS)
def test_gradient_of_the_log_probability_is_that_of_finite_differences(link: str) -> None:
    family = Normal(link=link)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 4, 2, generator=generator, dtype=torch.float64, requires_grad=True)

    def log_prob(raw: torch.Tensor) -> torch.Tensor:
        return family.decode(raw[0]).log_prob_preferred_to(family.decode(raw[1]))

    assert torch.autograd.gradcheck(log_prob, raw)
    assert torch.autograd.gradgradcheck(log_prob, raw)


@pytest.mark.parametrize("link", LINKS)
def test_gradients_by_correlation_and_margin_are_those_of_finite_differences(link: str) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    correlation, margin = (
        torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.6, 0.3)
    )

    def log_prob(
        raw: torch.Tensor, correlation: torch.Tensor, margin: torch.Tensor
    ) -> torch.Tensor:
        family = dataclasses.replace(Normal(link), correlation=correlation)
        return family.decode(raw[0]).log_prob_preferred_to(family.decode(raw[1]), margin)

    assert torch.autograd.gradcheck(log_prob, (raw, correlation, margin))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("correlation", [-0.999, 0.9, 0.999999])
def test_gradients_stay_finite_where_correlated_utilities_are_far_apart(
    dtype: torch.dtype, correlation: float
) -> None:
    far = torch.tensor([[1e3, -1e3], [-1e3, -1e3], [1e3, 1e3], [-1e3, 1e3]], dtype=dtype)
    raw = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    chosen, rejected = (far[side].requires_grad_() for side in raw.T)
    learned = torch.tensor(correlation, dtype=dtype, requires_grad=True)
    family = dataclasses.replace(Normal(), correlation=learned)
    log_prob = family.decode(chosen).log_prob_preferred_to(family.decode(rejected), 0.5)
    assert log_prob.isfinite().all()
    for gradient in torch.autograd.grad(log_prob.sum(), (chosen, rejected, learned)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_second_derivative_is_finite_everywhere(dtype: torch.dtype) -> None:
    far = torch.tensor([-1e6, -1e4, 1e4, 1e6], dtype=dtype)
    z = torch.cat([torch.linspace(-50, 50, 201, dtype=dtype), far]).requires_grad_()
    (first,) = torch.autograd.grad(log_normal_cdf(z).sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), z)
    assert second.isfinite().all()


# Links


@pytest.mark.parametrize(
    ("link", "largest"), [("probit", 0.0), ("paper", 0.0945), ("logit", 0.0095)]
)
def test_each_link_is_off_by_no_more_than_documented(link: str, largest: float) -> None:
    def minus_error(z: float) -> float:
        log_prob = float(LINKS[link](torch.tensor(z, dtype=torch.float64)))
        return -abs(math.exp(log_prob) - float(scipy.stats.norm.cdf(z)))

    peaks = [
        -scipy.optimize.minimize_scalar(minus_error, bounds=bounds, method="bounded").fun
        for bounds in [(0, 1), (1, 6)]
    ]
    assert max(peaks) == pytest.approx(largest, abs=5e-5)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_changes_no_ordering(link: str) -> None:
    z = torch.linspace(-8, 8, 101, dtype=torch.float64)
    assert (LINKS[link](z).diff() > 0).all()
    np.testing.assert_allclose(LINKS[link](z).exp() + LINKS[link](-z).exp(), 1.0, rtol=1e-12)


def test_published_checkpoints_are_read_with_their_own_link() -> None:
    assert Normal(variance_penalty=0.1).as_published() == Normal("paper", variance_penalty=0.1)


ITEMS = 40


def equally_uncertain_items(explained: float) -> NormalUtility:
    """Items with normally spread means and std 1, of a given r²."""
    mean = scipy.stats.norm.ppf((np.arange(ITEMS) + 0.5) / ITEMS)
    mean *= math.sqrt(explained / (1 - explained)) / mean.std()
    return NormalUtility(torch.from_numpy(mean), torch.ones(ITEMS, dtype=torch.float64), "probit")


def fit_to_exact_probabilities(truth: NormalUtility, link: str) -> NormalUtility:
    """Maximum likelihood of each item's mean and std, given infinitely many comparisons."""
    first, second = torch.triu_indices(ITEMS, ITEMS, 1)
    prob = truth[first].prob_preferred_to(truth[second])
    mean = (truth.mean / 2).requires_grad_()
    log_std = torch.zeros(ITEMS, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [mean, log_std], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        model = NormalUtility(mean, log_std.exp(), link)
        a, b = model[first], model[second]
        loss = -prob * a.log_prob_preferred_to(b) - (1 - prob) * b.log_prob_preferred_to(a)
        loss.mean().backward()
        return loss.mean()

    optimizer.step(closure)
    return NormalUtility(mean.detach(), log_std.detach().exp(), link)


@pytest.mark.parametrize(("truth", "published"), [(0.557, 0.351), (0.228, 0.110)])
def test_the_probit_recovers_explained_variance_and_the_published_link_does_not(
    truth: float, published: float
) -> None:
    items = equally_uncertain_items(truth)
    assert explained_variance(items) == pytest.approx(truth)
    recovered = explained_variance(fit_to_exact_probabilities(items, "probit"))
    assert recovered == pytest.approx(truth, abs=0.001)
    found = explained_variance(fit_to_exact_probabilities(items, "paper"))
    assert found == pytest.approx(published, abs=0.02)


# Outputs and penalty


def test_the_second_output_is_the_standard_deviation_before_softplus() -> None:
    raw = np.array([[0.7, -3.0], [-2.0, 0.0], [5.0, 40.0]])
    utility = Normal().decode(raw)
    np.testing.assert_array_equal(utility.mean, raw[:, 0])
    np.testing.assert_allclose(utility.std, np.log1p(np.exp(raw[:, 1])), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_penalty_is_the_unexplained_share_of_variance_at_any_scale(scale: float) -> None:
    utility = NormalUtility(scale * torch.from_numpy(MEAN), scale * torch.from_numpy(STD), "probit")
    explained, unexplained = np.var(MEAN), np.mean(STD**2)
    penalty = Normal(variance_penalty=0.3).regularizer(utility)
    assert penalty == pytest.approx(0.3 * unexplained / (unexplained + explained), rel=1e-12)
    assert penalty == pytest.approx(0.3 * (1 - explained_variance(utility)), rel=1e-12)


def far_utility(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = scale * torch.from_numpy(MEAN + 0.5), scale * torch.from_numpy(STD)
    return mean.requires_grad_(), std.requires_grad_()


@pytest.mark.parametrize("scale", [30.0, 1e5])
def test_the_scale_penalty_pulls_along_a_common_factor_and_along_nothing_else(scale: float) -> None:
    """Steps against its gradient bring the scale back and leave preferences and r² as they are."""
    mean, std = far_utility(scale)
    before = NormalUtility(mean, std, "probit")
    (by_mean, by_std) = torch.autograd.grad(
        Normal(scale_penalty=0.1).regularizer(before), (mean, std)
    )
    factors = torch.cat([by_mean / mean, by_std / std]).detach()
    assert (factors > 0).all()
    torch.testing.assert_close(factors, factors[:1].expand(6))
    step = 0.5 / factors[0]
    before = NormalUtility(mean.detach(), std.detach(), "probit")
    after = NormalUtility(before.mean - step * by_mean, before.std - step * by_std, "probit")
    assert Normal(scale_penalty=0.1).regularizer(after) < Normal(scale_penalty=0.1).regularizer(
        before
    )
    assert explained_variance(after) == pytest.approx(explained_variance(before), rel=1e-12)
    flipped = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        after.log_prob_preferred_to(after[flipped]),
        before.log_prob_preferred_to(before[flipped]),
    )


def test_the_scale_penalty_is_read_under_its_old_name() -> None:
    """`gauge` in checkpoints, score files and flags of version 0.1."""
    old = {"name": "mean_and_variance", "link": "paper", "gauge": 0.1}
    family = family_from_dict(old)
    assert family == Normal("paper", scale_penalty=0.1)
    assert "gauge" not in family.to_dict()
    with pytest.raises(UserError, match=r"gauge .* is the old name of scale_penalty"):
        make_family("mean_and_variance", {"gauge": 0.1, "scale_penalty": 0.2})


def test_the_scale_penalty_asks_nothing_of_scales_that_have_not_drifted() -> None:
    mean, std = far_utility(1.0)
    penalty = Normal(scale_penalty=0.1).regularizer(NormalUtility(mean, std, "probit"))
    gradients = torch.autograd.grad(penalty, (mean, std))
    assert penalty.item() == 0
    assert all((gradient == 0).all() for gradient in gradients)


def test_the_scale_penalty_is_the_squared_log_ratio_of_the_root_mean_square() -> None:
    mean, std = far_utility(1e3)
    scale = math.sqrt((mean**2 + std**2).mean().item())
    penalty = Normal(scale_penalty=0.1).regularizer(NormalUtility(mean, std, "probit"))
    assert penalty.item() == pytest.approx(0.1 * math.log(scale / LARGEST_SCALE) ** 2, rel=1e-12)


@pytest.mark.parametrize("scale", [0.3, 1.0, 100.0])
def test_gradient_of_all_penalties_is_that_of_finite_differences(scale: float) -> None:
    family = Normal(variance_penalty=0.3, scale_penalty=0.1)
    generator = torch.Generator().manual_seed(0)
    raw = scale * torch.randn(6, 2, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda raw: family.regularizer(family.decode(raw)), raw.requires_grad_()
    )


def test_the_published_penalty_vanishes_with_the_scale_while_the_likelihood_stays() -> None:
    a, b = MEAN, MEAN[::-1] + 0.4
    for shrink in (1.0, 0.1, 1e-3):
        utility = NormalUtility(shrink * a, shrink * STD, "probit")
        other = NormalUtility(shrink * b, shrink * STD, "probit")
        full_size = NormalUtility(a, STD, "probit"), NormalUtility(b, STD, "probit")
        np.testing.assert_allclose(
            utility.log_prob_preferred_to(other),
            full_size[0].log_prob_preferred_to(full_size[1]),
            rtol=1e-9,
        )
        published_penalty = utility.variance.mean()
        assert published_penalty == pytest.approx(shrink**2 * np.mean(STD**2))


def test_without_a_penalty_the_loss_is_the_likelihood() -> None:
    chosen, rejected = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0))
    losses = [
        preference_loss(Normal(), chosen, rejected, regularize=regularize)
        for regularize in (False, True)
    ]
    assert losses[0] == losses[1]

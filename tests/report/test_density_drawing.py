"""Drawings of two utilities: densities of mass 1, the closed forms, and finite at any scale."""

import math
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.stats

from hidden_context.distributions import FAMILIES, Family, Mixture, Normal, make_family
from hidden_context.report.density_drawing import (
    BASELINE,
    HEIGHT,
    MARGIN,
    NUM_CELLS,
    TAIL,
    WIDTH,
    axis_of,
    description,
    drawing,
)

DISTRIBUTIONAL = [name for name in FAMILIES if name != "base"]
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


def raw_of_std(std: float) -> float:
    """Inverse of softplus."""
    return std + math.log(-math.expm1(-std))


def normals(mean: tuple[float, float], std: tuple[float, float]) -> Any:
    raw = [[location, raw_of_std(scale)] for location, scale in zip(mean, std, strict=True)]
    return Normal().decode(np.array(raw))


def random_pair(family: Family, seed: int = 0, scale: float = 1.0) -> Any:
    raw = scale * np.random.default_rng(seed).normal(size=(2, family.num_outputs))
    return family.decode(raw)


def parsed(utility: Any) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawing(utility)))


def classes(root: ElementTree.Element) -> list[str]:
    return [each.get("class", "") for each in root.iter() if each.tag in ("path", "circle")]


def density(utility: Any) -> tuple[np.ndarray, np.ndarray]:
    edges = axis_of(utility)
    return edges, np.asarray(utility.density(edges), np.float64)


def numbers_in(path: str) -> list[float]:
    return [float(each) for each in re.findall(NUMBER, path)]


# Densities


@pytest.mark.parametrize("name", DISTRIBUTIONAL)
@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_a_density_holds_all_but_the_tails(name: str, scale: float):
    for seed in range(5):
        edges, densities = density(random_pair(make_family(name), seed, scale))
        mass = (densities * np.diff(edges)).sum(1)
        assert densities.shape == (2, NUM_CELLS)
        assert (densities >= 0).all()
        assert (mass <= 1 + 1e-9).all()
        assert (mass >= 1 - 2 * TAIL - 1e-9).all()


def test_a_normal_density_is_the_closed_form_within_the_error_of_cell_averages():
    """Mean of f over a cell of width h less f at its middle: at most h² max|f''| / 24.

    |f''| of a normal density is largest at the mean, 1 / (σ³ √(2π)).
    """
    mean, std = (-0.4, 1.1), (0.5, 1.7)
    edges, densities = density(normals(mean, std))
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    for values, location, scale in zip(densities, mean, std, strict=True):
        most = width**2 / (24 * scale**3 * math.sqrt(2 * math.pi))
        exact = scipy.stats.norm.pdf(middle, location, scale)
        np.testing.assert_allclose(values, exact, rtol=0, atol=1.001 * most)


def test_a_mixture_density_is_the_sum_of_its_components():
    raw = np.array([[0.3, -0.2, -2.0, 1.5, 0.1, 0.8], [0.0, 1.0, 0.2, 0.3, -0.5, 1.0]])
    family = Mixture(num_components=2)
    utility = family.decode(raw)
    edges, densities = density(utility)
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    weights, means, stds = utility.components
    for k in range(2):
        curvature = (weights[k] / stds[k] ** 3).sum() / math.sqrt(2 * math.pi)
        density_of = scipy.stats.norm.pdf(middle[:, None], means[k], stds[k])
        exact = (weights[k] * density_of).sum(1)
        most = 1.001 * width**2 * curvature / 24
        np.testing.assert_allclose(densities[k], exact, rtol=0, atol=most)


def test_a_categorical_density_is_a_histogram_of_its_masses():
    utility = make_family("categorical").decode(np.array([[3.0, *[0.0] * 9], [0.0] * 10]))
    edges, densities = density(utility)
    bins = np.minimum(np.clip(edges, 0, 1 - 1e-12) * 10, 9).astype(int)
    whole = (bins[1:] == bins[:-1]) & (edges[:-1] >= 0) & (edges[1:] <= 1)
    assert whole.sum() > NUM_CELLS / 2
    np.testing.assert_allclose(densities[:, whole], 10 * utility.mass[:, bins[:-1][whole]])


def test_a_point_of_probability_is_one_cell_that_holds_all_of_it():
    family = make_family("shared_context")
    raw = np.array([[-1.0, 2.0, 0.0, math.log(3)], [0.5, 0.5, 0.0, 0.0]])
    edges, densities = density(family.decode(raw))
    mass = densities * np.diff(edges)
    for point, share in ((-1.0, 0.25), (2.0, 0.75)):
        cell = np.searchsorted(edges, point) - 1
        assert mass[0, cell] == pytest.approx(share)
    assert mass[1].max() == pytest.approx(1)


# Drawings


@pytest.mark.parametrize("name", [each for each in DISTRIBUTIONAL if each != "shared_context"])
def test_both_responses_have_an_area_a_mean_and_a_low_quantile(name: str):
    utility = random_pair(make_family(name))
    found = classes(parsed(utility))
    for side in ("chosen", "rejected"):
        for what in ("density", "mean", "low"):
            assert found.count(f"{what} {side}") == 1
    assert not any(each.startswith("point") for each in found)


def test_a_scalar_family_has_points_and_no_area():
    found = classes(parsed(random_pair(make_family("base"))))
    assert {each.split(" ")[0] for each in found} == {"axis", "mean", "point"}


def test_the_highest_density_reaches_the_top_and_no_area_leaves_the_drawing():
    root = parsed(normals((0.0, 1.0), (0.2, 1.0)))
    areas = [each for each in root.iter("path") if "density" in each.get("class", "")]
    tops = []
    for area in areas:
        path = area.get("d", "")
        heights = [float(each) for each in re.findall(rf"V({NUMBER})", path)]
        across = [float(each) for each in re.findall(rf"[MH]({NUMBER})", path)]
        assert MARGIN <= min(heights) <= max(heights) == BASELINE
        assert MARGIN <= min(across) <= max(across) <= WIDTH - MARGIN
        assert across == sorted(across)
        tops.append(min(heights))
    assert min(tops) == MARGIN
    assert tops[0] == pytest.approx(MARGIN, abs=0.1)  # the narrower of the two


def test_means_lie_on_the_axis_where_they_are():
    """An axis from the lowest 0.001-quantile to the highest 0.999-quantile, and 4 % beyond."""
    mean, std = (0.0, 3.0), (1.0, 1.0)
    reach = scipy.stats.norm.ppf(1 - TAIL)
    low, high = -reach, 3 + reach
    margin = 0.04 * (high - low)
    for each in parsed(normals(mean, std)).iter("path"):
        kind, _, side = each.get("class", "").partition(" ")
        if kind == "mean":
            at = mean[side == "rejected"]
            share = (at - low + margin) / (high - low + 2 * margin)
            expected = MARGIN + share * (WIDTH - 2 * MARGIN)
            assert numbers_in(each.get("d", ""))[0] == pytest.approx(expected, abs=0.051)


EXTREMES = {
    "huge": Normal().decode(np.array([[0.0, 1e6], [1e6, 1e6]])),
    "tiny": Normal().decode(np.array([[0.0, -50.0], [1e-6, -50.0]])),
    "far apart": Normal().decode(np.array([[1e6, -50.0], [-1e6, -50.0]])),
    "tiny far from 0": Normal().decode(np.array([[1e6, -50.0], [1e6, -50.0]])),
    "one wide, one narrow": Normal().decode(np.array([[0.0, 1e6], [0.0, -50.0]])),
    "certain": make_family("categorical").decode(np.array([[1e3, *[0.0] * 9]] * 2)),
    "equal points": make_family("base").decode(np.array([[0.0], [0.0]])),
    "equal points far from 0": make_family("base").decode(np.array([[1e6], [1e6]])),
    "contexts that agree": make_family("shared_context").decode(np.zeros((2, 4))),
    "float32": Normal().decode(np.array([[0.0, 1e6], [1e6, -50.0]], np.float32)),
}


@pytest.mark.parametrize("utility", EXTREMES.values(), ids=EXTREMES)
def test_extremes_are_drawn_with_finite_numbers_inside_the_drawing(utility: Any):
    with np.errstate(all="raise", under="ignore"):
        root = parsed(utility)
    for each in root.iter():
        assert not re.search("nan|inf", " ".join(each.attrib.values()), re.IGNORECASE)
        assert not re.search("nan|inf", each.text or "", re.IGNORECASE)
        if "density" in each.get("class", ""):
            found = numbers_in(each.get("d", ""))
            assert 0 <= min(found) <= max(found) <= max(WIDTH, HEIGHT)


# In words


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_description_has_the_numbers_of_the_distribution(name: str):
    utility = random_pair(make_family(name), seed=3)
    found = [float(each) for each in re.findall(r"(?<![.\d])-?\d+\.\d{3}", _plain(utility))]
    mean, std, low = (
        np.asarray(each, np.float64) for each in (utility.mean, utility.std, utility.quantile(0.01))
    )
    expected = mean if name == "base" else np.stack([mean, std, low], axis=1).ravel()
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.0005001)


def _plain(utility: Any) -> str:
    return description(utility).replace("−", "-").replace("0.01-quantile", "quantile")


def test_a_drawing_says_its_description_to_those_who_do_not_see_it():
    utility = normals((0.0, 1.0), (1.0, 2.0))
    root = parsed(utility)
    assert root.get("role") == "img"
    assert root.get("aria-label") == description(utility)
    assert description(utility) == (
        "chosen: mean 0.000, standard deviation 1.000, 0.01-quantile −2.326; "
        "rejected: mean 1.000, standard deviation 2.000, 0.01-quantile −3.653"
    )


# The truth beside it


def test_the_truth_is_outlined_on_one_axis_that_holds_both():
    """The truth reaches from -9.3 to 9.3, the model from -3.1 to 4.1."""
    model, truth = normals((0.0, 1.0), (1.0, 1.0)), normals((0.0, 0.0), (3.0, 3.0))
    root = ElementTree.fromstring(str(drawing(model, truth)))
    outlines = [each for each in root.iter("path") if "truth" in each.get("class", "")]
    assert [each.get("class") for each in outlines] == ["truth chosen", "truth rejected"]
    assert f"in truth {description(truth)}" in root.get("aria-label", "")
    alone = ElementTree.fromstring(str(drawing(model)))

    def ends(drawn: ElementTree.Element) -> list[str | None]:
        return [each.text for each in drawn.iter() if each.tag.endswith("text")][:2]

    low, high = (float(str(end).replace("−", "-")) for end in ends(root))
    assert low < -9.27
    assert high > 9.27
    assert ends(alone) != ends(root)


def test_utilities_without_a_density_are_bars_as_high_as_their_probability():
    utility = make_family("shared_context").decode(
        np.array([[0.0, 1.0, 0.0, np.log(3.0)], [0.5, 2.0, 0.0, 0.0]])
    )
    root = parsed(utility)
    bars = [each.get("d", "") for each in root.iter() if "bar" in each.get("class", "").split()]
    assert len(bars) == 4
    assert utility.atoms is not None
    heights = [BASELINE - numbers_in(bar)[2] for bar in bars]
    prob = np.asarray(utility.atoms[1]).ravel()
    assert heights == pytest.approx((prob / prob.max() * (BASELINE - MARGIN)).tolist(), abs=0.1)
    assert not [each for each in classes(root) if each.startswith("density") and "bar" not in each]

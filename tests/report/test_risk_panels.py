"""Panels of rates by level of risk: each rate at its level, the mean apart."""

import numpy as np
import pytest
from drawn_panels import (
    BY_RISK,
    SETS,
    along_risks,
    drawn,
    evaluation_of,
    legend_of,
    lines_of,
    marks,
    rate_of,
)
from matplotlib.collections import PolyCollection

from hidden_context.measures.plots import BESIDE_THE_LEVELS, level_of
from hidden_context.measures.risk_levels import CURVES
from hidden_context.report.sections import risk_panels

# Risk


def test_a_rate_is_drawn_at_its_level_and_the_mean_apart():
    jailbreaks, accuracy = risk_panels(BY_RISK)
    for panel, name in (
        (jailbreaks, "jailbreak_rate"),
        (accuracy, "helpfulness_accuracy"),
    ):
        axes = drawn(panel)
        rates = [list(getattr(each, name).values()) for each in BY_RISK]
        expected = [(found[0].value, found[0].low, found[0].high) for found in rates]
        means = marks(axes)
        np.testing.assert_allclose([mark[1:] for mark in means], expected)
        levels = [risk.parameter for risk in CURVES["quantile"]]
        x = [mark[0] for mark in means]
        assert x == sorted(x)
        assert np.exp(np.mean(np.log(x))) == pytest.approx(BESIDE_THE_LEVELS)
        assert min(x) > 1.5 * max(level for level in levels if level is not None)
        curves = [line for line in lines_of(axes) if len(line.get_xdata()) == len(levels)]
        bands = [each for each in axes.collections if isinstance(each, PolyCollection)]
        assert len(curves) == 2
        for line, found in zip(curves, rates[1:], strict=True):
            np.testing.assert_array_equal(line.get_xdata(), levels)
            corrected = [rate.value for rate in found[1:]]
            np.testing.assert_array_equal(line.get_ydata(), corrected)
        for band, found in zip(bands, rates[1:], strict=True):
            y = np.asarray(band.get_paths()[0].vertices)[:, 1]
            assert min(y) == pytest.approx(min(rate.low for rate in found[1:]))
            assert max(y) == pytest.approx(max(rate.high for rate in found[1:]))


def test_the_longer_text_is_a_line_of_reference():
    for panel, value in zip(risk_panels(BY_RISK), (0.45, 0.55), strict=True):
        axes = drawn(panel)
        (line,) = (each for each in axes.lines if each.get_label() == "the longer text wins")
        assert list(line.get_ydata()) == [value, value]
        assert f"the longer text {value:.3f}" in panel.description


def test_every_family_of_a_risk_panel_is_in_its_legend_once():
    names = legend_of(drawn(risk_panels(BY_RISK)[0]))
    assert sorted(names) == sorted(
        ["base", "mean_and_variance", "categorical", "the longer text wins"]
    )


def test_lower_levels_lie_to_the_right_and_none_is_cut_off():
    axes = drawn(risk_panels(BY_RISK)[0])
    left, right = axes.get_xlim()
    assert left > BESIDE_THE_LEVELS * 1.07
    assert right < 0.005
    assert axes.get_ylim() == (-0.02, 1.02)


def test_rates_at_two_levels_or_none_have_no_panel():
    alone = evaluation_of("categorical", jailbreak_rate={"mean": rate_of(0.7)})
    assert risk_panels([alone, evaluation_of("base")]) == []
    several = {"mean": rate_of(0.7), "quantile:0.1": rate_of(0.6), "quantile:0.2": rate_of(0.6)}
    titles = [
        panel.title
        for panel in risk_panels([evaluation_of("categorical", helpfulness_accuracy=several)])
    ]
    assert titles == ["Accuracy on helpfulness, trained on a"]


def test_each_training_set_has_its_own_panel():
    curves = [along_risks("categorical", trained_on=name) for name in SETS]
    titles = [panel.title for panel in risk_panels(curves)]
    assert titles == [
        f"{what}, trained on {name}"
        for what in ("Jailbreak rate", "Accuracy on helpfulness")
        for name in SETS
    ]


def test_risks_other_than_quantiles_and_the_mean_have_no_level():
    assert [level_of(risk) for risk in ("quantile:0.05", "mean", "cvar:0.05", "lcb:1.5")] == [
        0.05,
        BESIDE_THE_LEVELS,
        None,
        None,
    ]

"""Reliability curves and learned deviations: what is drawn is what was measured."""

from collections.abc import Sequence

import numpy as np
import pytest
from drawn_panels import audited, drawn, evaluation_of, legend_of
from matplotlib.patches import StepPatch

from hidden_context.measures.calibration import ReliabilityBin
from hidden_context.measures.evaluation import Evaluation, Histogram
from hidden_context.measures.plots import LEAST_AREA
from hidden_context.report.sections import reliability_panels, std_panels


@pytest.fixture(scope="module")
def measured() -> tuple[Evaluation, ...]:
    return audited()


# Reliability and deviations


def test_reliability_marks_are_the_bins_and_their_areas_grow_with_votes(
    measured: Sequence[Evaluation],
):
    some = [each for each in measured if each.trained_on == "both"]
    axes = drawn(reliability_panels(measured)[2])
    diagonal, *curves = (line for line in axes.lines if len(np.asarray(line.get_xdata())))
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    for line, cloud, each in zip(curves, axes.collections, some, strict=True):
        predicted = [found.predicted for found in each.reliability]
        observed = [found.observed for found in each.reliability]
        np.testing.assert_array_equal(line.get_xdata(), predicted)
        np.testing.assert_array_equal(line.get_ydata(), observed)
        np.testing.assert_array_equal(cloud.get_offsets(), np.transpose([predicted, observed]))
        votes = np.array([found.num_votes for found in each.reliability])
        areas = cloud.get_sizes() - LEAST_AREA
        np.testing.assert_allclose(areas / areas.sum(), votes / votes.sum())
    assert legend_of(axes) == [each.family.name for each in some]


def test_bins_without_votes_are_drawn_without_dividing_by_nothing():
    bins = (ReliabilityBin(0, 0.1, 1, 0.0, 0.05, 0.0),)
    (panel,) = reliability_panels([evaluation_of("base", reliability=bins)])
    (cloud,) = drawn(panel).collections
    assert np.isfinite(cloud.get_sizes()).all()


def test_calibration_errors_are_in_the_description(measured: Sequence[Evaluation]):
    for panel in reliability_panels(measured):
        for each in measured:
            if panel.title.endswith(each.trained_on) and each.expected_calibration_error:
                value = each.expected_calibration_error.value
                assert f"{each.family.name} {value:.3f}" in panel.description
    bins = (ReliabilityBin(0, 1, 1, 1.0, 0.5, 0.5),)
    (panel,) = reliability_panels([evaluation_of("base", reliability=bins)])
    assert "calibration error" not in panel.description


def test_shares_of_a_histogram_sum_to_one(measured: Sequence[Evaluation]):
    for panel in std_panels(measured):
        steps = [patch for patch in drawn(panel).patches if isinstance(patch, StepPatch)]
        assert len(steps) == 2
        for step in steps:
            values, edges, _ = step.get_data()
            assert np.sum(values) == pytest.approx(1)
            np.testing.assert_allclose(values, np.array([3, 5.5, 1]) / 9.5)
            assert list(edges) == [0.0, 0.5, 1.0, 2.0]


def test_the_median_deviation_is_interpolated_within_its_bin():
    found = evaluation_of("categorical", std=Histogram((0, 1, 2, 4), (1, 2, 1)))
    assert "Median: categorical 1.50." in std_panels([found])[0].description

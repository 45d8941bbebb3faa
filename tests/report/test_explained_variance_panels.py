"""Panels of r²: what is drawn is what was measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from drawn_panels import (
    SETS,
    audited,
    drawn,
    evaluation_of,
    legend_of,
    lines_of,
    marks,
    with_r2,
)

from hidden_context.measures.evaluation import Evaluation, TrainingPoint
from hidden_context.measures.plots import PUBLISHED, published
from hidden_context.report.results import Panel
from hidden_context.report.sections import explained_variance_panels, training_panels

SCALES = ("pooled", "within_prompt", "each_prompt", "rank")


@pytest.fixture(scope="module")
def measured() -> tuple[Evaluation, ...]:
    return audited()


# r² by training set


def test_every_r2_is_drawn_with_its_interval_and_its_null(measured: Sequence[Evaluation]):
    panels = explained_variance_panels(measured)
    assert len(panels) == len(SCALES)
    some = [each for each in measured if each.explained_variance]
    for panel, scale in zip(panels, SCALES, strict=True):
        axes = drawn(panel)
        found = marks(axes)
        expected: list[Any] = [
            (each.value, each.low, each.high)
            for of_family in some
            for each in (
                of_family.explained_variance[scale],
                of_family.matched_explained_variance[scale],
            )
        ]
        np.testing.assert_allclose([mark[1:] for mark in found], expected)
        places = [round(x) for x, *_ in found]
        assert places == [SETS.index(each.trained_on) for each in some for _ in range(2)]
        assert [label.get_text() for label in axes.get_xticklabels()] == list(SETS)
        bands = [line.get_ydata() for line in lines_of(axes) if line.get_linewidth() == 7]
        nulls = [null for each in some for null in each.null if null.figure == f"r2_{scale}"]
        assert len(bands) == (len(some) if scale in ("pooled", "rank") else 0)
        ranges = [(min(null.draws), max(null.draws)) for null in nulls]
        np.testing.assert_allclose(np.array(bands).reshape(-1, 2), np.array(ranges).reshape(-1, 2))
        assert ("no hidden context" in legend_of(axes)) == (len(bands) > 0)
        caps = {line.get_solid_capstyle() for line in lines_of(axes) if line.get_linewidth() == 7}
        assert caps <= {"butt"}  # others would reach beyond the draws


def test_families_of_a_set_stand_in_one_order_and_apart(measured: Sequence[Evaluation]):
    x = [mark[0] for mark in marks(drawn(explained_variance_panels(measured)[0]))]
    assert x == sorted(x)
    assert min(np.diff(x)) > 0.05


def test_an_interval_that_does_not_hold_its_value_ends_at_the_value():
    value = with_r2("categorical", 0.5, 0.6, 0.7)
    ((_, found, low, high),) = marks(drawn(explained_variance_panels([value])[0]))
    assert (found, low, high) == pytest.approx((0.5, 0.5, 0.7))


def test_r2_without_an_interval_is_a_mark_without_a_bar():
    value = with_r2("categorical", 0.5)
    (container,) = drawn(explained_variance_panels([value])[0]).containers
    assert container.lines[2] == ()


def test_a_scalar_family_alone_has_no_panel_of_r2():
    assert explained_variance_panels([evaluation_of("base")]) == []
    assert training_panels([evaluation_of("base")]) == []


def test_r2_as_published_stands_only_beside_all_three_of_its_training_sets(
    measured: Sequence[Evaluation],
):
    panels = explained_variance_panels(measured)
    dashes = [
        [
            (round(float(line.get_xdata()[0])), float(line.get_ydata()[0]))
            for line in lines_of(drawn(panel))
            if line.get_marker() == "_"
        ]
        for panel in panels
    ]
    expected = sorted((SETS.index(name), value) for (name, _), value in PUBLISHED.items())
    assert [sorted(each) for each in dashes] == [expected, [], [], []]
    two = [each for each in measured if each.trained_on != "both"]
    assert all(line.get_marker() != "_" for line in lines_of(drawn(_first(two))))


def _first(measured: Sequence[Evaluation]) -> Panel:
    return explained_variance_panels(measured)[0]


def test_only_families_that_are_there_are_compared_with_the_paper():
    assert published(SETS, ["categorical"]) == {
        ("helpful", "categorical"): 0.63,
        ("harmless", "categorical"): 0.53,
        ("both", "categorical"): 0.41,
    }
    assert published((*SETS, "more"), ["mean_and_variance"])["both", "mean_and_variance"] == 0.53
    assert published(["helpful", "both"], ["categorical"]) == {}


def test_descriptions_of_r2_hold_its_values(measured: Sequence[Evaluation]):
    panel = _first(measured)
    for each in measured:
        if each.explained_variance:
            value = each.explained_variance["pooled"].value
            assert f"{each.family.name} on {each.trained_on} {value:.3f}" in panel.description


# r² against training


def test_training_curves_are_the_points_of_each_family_and_scale(measured: Sequence[Evaluation]):
    panels = training_panels(measured)
    assert [panel.title for panel in panels] == [
        f"r² against passes, trained on {name}" for name in SETS
    ]
    for panel, data_set in zip(panels, SETS, strict=True):
        axes = drawn(panel)
        expected = [
            ([point.passes for point in each.training_curve], values)
            for each in measured
            if each.trained_on == data_set and each.training_curve
            for scale in ("pooled", "within_prompt", "rank")
            for values in [[point.r2[scale] for point in each.training_curve]]
        ]
        found = lines_of(axes)
        assert len(found) == len(expected)
        for line, (passes, values) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), passes)
            np.testing.assert_array_equal(line.get_ydata(), values)
        assert axes.get_xscale() == "log"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1", "2"]


def test_nothing_of_a_training_curve_is_cut_off():
    points = tuple(TrainingPoint(1, passes, -0.6, {"pooled": 1.0}) for passes in (0.1, 10.0))
    axes = drawn(training_panels([evaluation_of("categorical", training_curve=points)])[0])
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 1
    assert axes.get_xlim()[0] < 0.1 < 10 < axes.get_xlim()[1]

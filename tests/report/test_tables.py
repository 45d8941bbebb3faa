"""Numbers, names and tables as the page writes them."""

from typing import Any

import pytest
from drawn_panels import evaluation_of

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.plots import labels_of
from hidden_context.report.tables import (
    NO_VALUE,
    decimal,
    predictions,
    setting,
    with_interval,
    with_interval_apart,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (-2.0, "−2.000"), (0, "0.000"), (-0.0001, "0.000"), (None, NO_VALUE)],
)
def test_decimals_have_a_true_minus_sign_and_no_minus_nothing(value: float | None, text: str):
    assert decimal(value) == text


def test_an_estimate_is_written_with_its_interval_if_it_has_one():
    assert with_interval(Estimate(0.5, -0.25, 0.75)) == "0.500 (−0.250 to 0.750)"
    assert with_interval(Estimate(0.5)) == "0.500"
    assert with_interval(None) == NO_VALUE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NO_VALUE),
        (True, "true"),
        (0, "0"),
        (9999, "9999"),
        (1234567, "1,234,567"),
        (-12345, "-12,345"),
        (3e-5, "3e-05"),
        (0.5, "0.5"),
        ("text", "text"),
        (["a", 1, None], "a, 1, –"),
        ([], "none"),
        ({"a": 1, "b": {"c": False}}, "a: 1, b: c: false"),
        ({}, "none"),
    ],
)
def test_settings_are_written_as_people_write_them(value: Any, text: str):
    assert setting(value) == text


def test_names_are_numbered_only_where_several_models_are_alike():
    base, other = "base", "categorical"
    models = [(base, "x"), (other, "x"), (base, "x"), (base, "y")]
    labels = labels_of([evaluation_of(*model) for model in models])
    assert labels == ["base (1)", "categorical", "base (2)", "base"]


def test_a_table_of_predictions_has_the_columns_of_which_something_is_known():
    known = evaluation_of("base", "set", log_likelihood=Estimate(-0.6, -0.7, -0.5))
    table = predictions([known, evaluation_of("base", "other")])
    assert table is not None
    assert table.headers == ("trained on", "family", "log-likelihood, nats per vote")
    assert table.rows == (
        ("set", "base", "−0.600 (−0.700 to −0.500)"),
        ("other", "base", NO_VALUE),
    )


def test_where_no_prediction_was_measured_there_is_no_table():
    assert predictions([evaluation_of("base")]) is None
    assert predictions([]) is None


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("0.5 (0.4 to 0.6)", '0.5 <span class="interval">(0.4 to 0.6)</span>'),
        ("0.5", "0.5"),
        ("−0.5 (−0.6 to +0.4)", '−0.5 <span class="interval">(−0.6 to +0.4)</span>'),
        ("<b> (1 to 2)", '&lt;b&gt; <span class="interval">(1 to 2)</span>'),
        ("a text (of 3 to 4 words)", "a text (of 3 to 4 words)"),
    ],
)
def test_an_interval_stands_apart_and_all_is_escaped(cell: str, shown: str):
    assert str(with_interval_apart(cell)) == shown


def test_cells_have_a_true_minus_and_names_break_after_underscores():
    assert with_interval_apart("-0.02 (-0.03 to 0.01)") == (
        '−0.02 <span class="interval">(−0.03 to 0.01)</span>'
    )
    assert with_interval_apart("mean_and_variance <b>") == "mean_<wbr>and_<wbr>variance &lt;b&gt;"

"""What an evaluation draws of itself are its own numbers."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from measures.simulated_scores import comparisons, jailbreaks

from hidden_context.audits.result import read_audit
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.plots import SCALE_NAMES
from hidden_context.report.page import write_page

GOLDEN = Path(__file__).parents[1] / "golden" / "v0.1"
RISKS = ("quantile:0.5", "quantile:0.1", "quantile:0.01")
WHOLE = evaluate(comparisons(), jailbreaks=jailbreaks(), risks=RISKS)


def drawn(axes: Axes) -> list[np.ndarray]:
    """The points of every line that has some."""
    points = [np.array(line.get_xydata(), float) for line in axes.lines]
    return [each for each in points if len(each)]


def test_reliability_is_the_bins_beside_the_diagonal() -> None:
    bins = [(each.predicted, each.observed) for each in WHOLE.reliability]
    diagonal, *lines = drawn(WHOLE.plot_reliability())
    np.testing.assert_array_equal(diagonal, [[0, 0], [1, 1]])
    np.testing.assert_allclose(lines[0], bins)


def test_every_scale_of_r2_has_its_mark_and_interval() -> None:
    axes = WHOLE.plot_explained_variance()
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == [scale for scale in SCALE_NAMES if scale in WHOLE.explained_variance]
    marks = {round(float(points[0, 1]), 9) for points in drawn(axes)}
    assert marks >= {round(WHOLE.explained_variance[name].value, 9) for name in names}
    assert len(axes.collections) == len(names)


@pytest.mark.parametrize("rate", ["jailbreak_rate", "accuracy"])
def test_risk_is_drawn_by_its_level(rate: str) -> None:
    alone = evaluate(comparisons(), risks=RISKS)
    axes = (WHOLE if rate == "jailbreak_rate" else alone).plot_risk()
    rates = getattr(WHOLE if rate == "jailbreak_rate" else alone, rate)
    (curve,) = (points for points in drawn(axes) if len(points) == len(RISKS))
    np.testing.assert_allclose(curve, [(float(r[9:]), rates[r].value) for r in RISKS])


def test_deviations_are_the_histogram() -> None:
    assert WHOLE.std is not None
    (stairs,) = WHOLE.plot_std().patches
    counts = np.array(WHOLE.std.counts)
    np.testing.assert_allclose(stairs.get_data()[0], counts / counts.sum())  # pyrefly: ignore


def test_axes_that_are_given_are_used() -> None:
    axes = WHOLE.plot_std()
    assert WHOLE.plot_reliability(axes) is axes


def test_an_audit_in_memory_makes_the_page_of_its_file(tmp_path: Path) -> None:
    result = read_audit(GOLDEN / "audit.json")
    page = write_page(result, tmp_path / "memory.html").read_text(encoding="utf-8")
    for sentences in result.sentences.values():
        for question, _ in sentences:
            assert question in page
    assert page.count("<svg") > 3

"""Figures of fits: every item that is shown has a row, and what is left out a row of its own."""

import numpy as np
import pytest
from simulated_items import draw_comparisons, latent_groups

from hidden_context.items import fit_items
from hidden_context.items.figure import MOST_SHOWN


@pytest.mark.parametrize("number", [6, MOST_SHOWN, MOST_SHOWN + 7])
def test_items_that_are_left_out_have_a_row_between_both_halves(number: int):
    fit = fit_items(draw_comparisons(latent_groups(number, (1.0,), 1.0, seed=0), 4000, 1), "base")
    axes = fit.plot_utilities()
    shown = min(number, MOST_SHOWN)
    rows = axes.get_yticks()
    assert len(set(rows)) == len(rows) == shown
    means = fit.to_frame()["mean"].to_numpy()
    np.testing.assert_allclose(axes.lines[0].get_xdata()[0], means[0])  # pyrefly: ignore
    notes = [(text.get_text(), text.get_position()[1]) for text in axes.texts]
    if number == shown:
        assert notes == []
    else:
        ((note, row),) = notes
        assert note == "7 items between are left out"
        assert axes.texts[0].get_bbox_patch() is None  # white, which a dark page would show
        assert row not in rows
        assert sorted([*rows, row]) == list(range(shown + 1))

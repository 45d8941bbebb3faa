"""Figures of the synthetic experiments: from arrays alone, nothing overlaps or is clipped."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hidden_context.distributions import FAMILIES
from hidden_context.errors import UserError
from hidden_context.synthetic.environments import ENVIRONMENTS
from hidden_context.synthetic.evaluate import curves, exact_curves
from hidden_context.synthetic.figures import Curves, draw, read_curves
from hidden_context.synthetic.models import UtilityModel, build_model

NUM_PANELS = {"1d": 2 + len(FAMILIES) - 2, "2d": 5 + len(FAMILIES) - 2}
"""base and mean_and_variance, and in 2-D the exact answers, are drawn in ways of their own."""


def curves_of(env: str) -> dict[str, np.ndarray]:
    arrays = exact_curves(ENVIRONMENTS[env])
    for name in FAMILIES:
        model = build_model(name, ENVIRONMENTS[env], seed=0).eval()
        assert isinstance(model, UtilityModel)
        arrays |= curves(name, model, ENVIRONMENTS[env])
    return arrays


def panels(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_panel_lies_inside_the_figure_and_apart_from_the_others(env: str) -> None:
    figure = draw(curves_of(env))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [axes.get_tightbbox(canvas.get_renderer()) for axes in figure.axes]
    found = [box for box in boxes if box is not None]
    assert len(found) == len(figure.axes)
    for box in found:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
    for one, other in combinations(found, 2):
        assert not one.overlaps(other)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_further_family_gets_a_panel_of_its_own(env: str) -> None:
    arrays: Curves = curves_of(env)
    assert len(panels(draw(arrays))) == NUM_PANELS[env]
    further = {key.replace("categorical", "one_more"): arrays[key] for key in arrays}
    titles = panels(draw({**arrays, **further}))
    assert len(titles) == NUM_PANELS[env] + 1
    assert titles[-1] == "DPL: one more"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_panel_has_both_axes_named(env: str) -> None:
    figure = draw(curves_of(env))
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes if axes.get_title())


def test_missing_curves_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run once with redraw off"):
        read_curves(tmp_path / "curves.npz")


def test_damaged_curves_are_explained(tmp_path: Path) -> None:
    (tmp_path / "curves.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match="run once with redraw off"):
        read_curves(tmp_path / "curves.npz")

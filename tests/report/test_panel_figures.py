"""Panels as figures: they can be read in both styles, whatever data are named."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
from drawn_panels import BY_RISK, audited, with_r2
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg

from hidden_context.distributions import FAMILIES
from hidden_context.figures.family_looks import look_of
from hidden_context.figures.style import STYLES, StyleName, in_style
from hidden_context.measures.evaluation import Evaluation
from hidden_context.report.page import panels_of
from hidden_context.report.panel_figures import as_svg, figure_of, file_name, write_figures
from hidden_context.report.results import Panel, Result
from hidden_context.report.sections import explained_variance_panels


@pytest.fixture(scope="module")
def measured() -> tuple[Evaluation, ...]:
    return audited()


def _first(measured: Sequence[Evaluation]) -> Panel:
    return explained_variance_panels(measured)[0]


# Looks


def test_families_differ_by_colour_and_by_marker_or_line():
    looks = [look_of(name) for name in FAMILIES]
    assert len({look.color for look in looks}) == min(len(FAMILIES), 7)
    assert len({(look.marker, look.line) for look in looks}) == len(FAMILIES)
    numbered = [look_of(f"categorical ({number})") for number in (1, 2, 3)]
    assert numbered[0] == look_of("categorical")
    assert {look.color for look in numbered} == {look_of("categorical").color}
    assert len({look.marker for look in numbered}) == len({look.line for look in numbered}) == 3
    assert look_of("unheard_of") not in looks


# Layout


@pytest.fixture(scope="module")
def all_panels(measured: tuple[Evaluation, ...]) -> list[Panel]:
    """One of each kind, and all four of r²."""
    result = Result("r", "s", evaluations=(*measured, *BY_RISK))
    panels = panels_of([result])
    some = [panel for panel in panels if not panel.title.endswith((" harmless", " helpful"))]
    assert len(some) == 4 + 1 + 2 + 1 + 1
    return some


def long_names() -> Panel:
    names = ("ultrafeedback_binarized_cleaned", "anthropic-hh harmless", "x" * 300)
    some = [
        with_r2(family, 0.5, 0.4, 0.6, trained_on=name, matched_size=1234)
        for name in names
        for family in FAMILIES
    ]
    return _first(some)


def overlapping(axes: Axes, renderer: RendererAgg) -> bool:
    """Whether the legend lies on the axis or on its labels."""
    (legend,) = axes.figure.legends
    box = legend.get_window_extent(renderer)
    below = axes.xaxis.get_tightbbox(renderer)
    return box.overlaps(axes.get_window_extent()) or (below is not None and box.overlaps(below))


@pytest.mark.parametrize("style", STYLES)
def test_panels_are_drawn_without_warnings_inside_their_figures(
    all_panels: Sequence[Panel], style: StyleName
):
    for panel in [*all_panels, long_names()]:
        with in_style(STYLES[style]), warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = figure_of(panel, STYLES[style], has_title=STYLES[style].has_titles)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            (axes,), renderer = figure.axes, canvas.get_renderer()
            for box in (axes.get_tightbbox(renderer), figure.legends[0].get_tightbbox(renderer)):
                assert box is not None
                assert box.x0 >= 0, panel.title
                assert box.y0 >= 0, panel.title
                assert box.x1 <= figure.bbox.width, panel.title
                assert box.y1 <= figure.bbox.height, panel.title
            assert not overlapping(axes, renderer), panel.title
            assert axes.get_ylabel()
            assert bool(axes.get_title()) == STYLES[style].has_titles


@pytest.mark.parametrize(
    "name",
    ["$x^{$", "a$b$c", "\\frac{", "_hidden", "\ud83d", "\x00", "a\tb\nc", "مرحبا", "<b>&", "中文"],
    ids=ascii,
)
def test_names_of_data_are_drawn_as_they_are_and_never_as_formulas(name: str):
    panel = _first([with_r2("categorical", 0.5, trained_on=name)])
    svg = as_svg(panel, "f")
    svg.replace("\ud83d", "").encode()
    if "$" in name or "\\" in name:
        assert name in svg
    style = STYLES["screen"]
    with in_style(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        FigureCanvasAgg(figure_of(panel, style, has_title=True)).draw()


def test_figures_of_one_title_get_files_of_their_own_and_equal_panels_equal_files(
    tmp_path: Path, measured: Sequence[Evaluation]
):
    panel = _first(measured)
    paths = write_figures([panel, panel], tmp_path / "one", STYLES["paper"])
    names = ["r2_over_all_responses", "r2_over_all_responses_2"]
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for name in names for kind in ("png", "pdf")
    ]
    contents = [path.read_bytes() for path in paths]
    assert contents[:2] == contents[2:]
    assert b"/FontFile2" in contents[1]  # embedded TrueType


def test_names_of_files_are_plain_and_not_too_long():
    assert file_name("r² within prompts, each (2)") == "r2_within_prompts_each_2"
    assert file_name("../中文") == "figure"
    assert len(file_name("x" * 1000)) <= 100

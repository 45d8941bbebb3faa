"""Figures inside a page: nothing that clashes, nothing that changes, the page's own colours."""

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from hidden_context.figures.style import COLOR_NAMES, INK, STYLES, in_style
from hidden_context.report.panel_figures import inline_svg

HREF = "{http://www.w3.org/1999/xlink}href"


def figure(label: str = "a label") -> Figure:
    """Lines, markers, areas and clipped paths in every colour of our figures, and a legend."""
    made = Figure(figsize=(3, 2))
    axes = made.add_subplot()
    for k, color in enumerate([INK, *COLOR_NAMES]):
        axes.plot([0, 1], [k, k + 1], color=color, marker="os^v"[k % 4], label=f"{label} {k}")
        axes.fill_between([0, 1], [k, k], [k + 0.5, k + 0.5], color=color, alpha=0.3)
    axes.errorbar(0.5, 2, [[1], [2]], color=INK, marker="s")
    axes.scatter([0.1, 0.2], [1, 2], [9, 16], INK, clip_on=True)
    axes.set(xlim=(0, 1), xlabel=label)
    axes.legend()
    return made


def svg_of(name: str = "f1", description: str = "words", label: str = "a label") -> str:
    with in_style(STYLES["screen"]):
        return str(inline_svg(figure(label), name=name, description=description))


def elements(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter())


def ids_in(svg: str) -> list[str]:
    return [each.attrib["id"] for each in elements(svg) if "id" in each.attrib]


def references_in(svg: str) -> set[str]:
    found = set(re.findall(r"url\(#([^)]*)\)", svg))
    return found | {each.attrib[HREF][1:] for each in elements(svg) if HREF in each.attrib}


def test_two_figures_of_a_page_have_no_id_in_common():
    one, other = ids_in(svg_of("f1-1")), ids_in(svg_of("f1-11"))
    assert one
    assert len(set(one)) == len(one)
    assert not set(one) & set(other)


def test_every_reference_is_to_an_id_of_its_own_figure():
    svg = svg_of("f2")
    assert len(references_in(svg)) > 3
    assert references_in(svg) <= set(ids_in(svg))
    links = [each.attrib[HREF] for each in elements(svg) if HREF in each.attrib]
    assert all(link.startswith("#f2-") for link in links)


def test_equal_figures_are_equal_and_other_names_change_only_the_ids():
    assert svg_of("f1") == svg_of("f1")
    plain = [re.sub(r"(?<=[\"#])f[12]-\w+", "", svg_of(name)) for name in ("f1", "f2")]
    assert plain[0] == plain[1]


def test_there_is_no_date_and_no_link_elsewhere():
    svg = svg_of()
    assert "metadata" not in svg
    assert not re.search(r"20\d\d-\d\d", svg)
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/1999/xlink"]


def test_no_colour_of_our_figures_remains_and_black_is_the_ink_of_the_page():
    svg = svg_of()
    assert not re.search(r"#[0-9a-f]{3,6}\b|\bblack\b|rgb\(", svg, re.IGNORECASE)
    for name in COLOR_NAMES.values():
        assert f"var(--{name})" in svg
    assert "stroke: currentColor" in svg
    assert elements(svg)[0].get("fill") == "currentColor"  # of what has no fill of its own


def test_the_ground_is_transparent():
    assert not re.search("white|#fff", svg_of(), re.IGNORECASE)


def test_it_is_an_image_with_a_description_and_scales():
    description = 'r² < 1 & "quoted" \' >'
    root = elements(svg_of(description=description))[0]
    assert (root.tag, root.get("role"), root.get("aria-label")) == ("svg", "img", description)
    assert root.get("viewBox") == "0 0 216 144"
    assert root.get("width") is None
    assert root.get("height") is None


@pytest.mark.parametrize(
    "label",
    [
        'id="x',
        'href="#x',
        "url(#x",
        "#000000",
        "#0072b2",
        "<script>alert(1)</script>",
        "&amp;",
        "$x^{$",
    ],
)
def test_texts_stay_texts_whatever_they_hold(label: str):
    svg = svg_of(label=label)
    texts = [each.text for each in elements(svg) if each.tag == "text"]
    assert label in texts
    assert f"{label} 0" in texts
    assert all(each.tag != "script" for each in elements(svg))

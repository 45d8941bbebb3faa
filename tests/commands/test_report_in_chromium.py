"""The page in a real browser: it is whole, it folds, it fits, and texts do nothing."""

from collections.abc import Iterator

import pytest
from chromium import chromium, show
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

WIDTHS = (360, 1400)


@pytest.fixture(scope="module")
def window() -> Iterator[Chrome]:
    with chromium() as window:
        yield window


def unfold(window: Chrome) -> None:
    window.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_there_and_nothing_is_wider_than_the_page(window, page, width, scheme):
    show(window, page, width=width, scheme=scheme)
    for _ in ("folded", "unfolded"):
        whole = window.execute_script("return document.documentElement.scrollWidth")
        assert whole <= width
        unfold(window)
    sizes = window.execute_script(
        "return [...document.querySelectorAll('figure svg, svg.utilities')].map("
        "each => [each.getBoundingClientRect().width, each.getBoundingClientRect().height])"
    )
    figures = window.find_elements(By.CSS_SELECTOR, "figure")
    assert len(figures) > 20
    assert len(sizes) > len(figures)
    assert all(across > 200 and down > 60 for across, down in sizes)
    assert window.get_log("browser") == []


@pytest.mark.parametrize(("width", "least"), [(1400, 11.0), (390, 10.0)])
def test_texts_of_figures_are_large_enough_to_read(window, page, width, least):
    """In CSS pixels: their size in units of the drawing, times the pixels of a unit."""
    show(window, page, width=width)
    unfold(window)
    sizes = window.execute_script(
        "return [...document.querySelectorAll('svg text')].map(each => { const svg = "
        "each.ownerSVGElement; return parseFloat(getComputedStyle(each).fontSize) * "
        "svg.getBoundingClientRect().width / svg.viewBox.baseVal.width })"
    )
    assert len(sizes) > 300
    assert min(sizes) >= least


def test_texts_are_shown_and_never_interpreted(window, page):
    show(window, page, width=1400)
    unfold(window)
    assert window.title == "Hidden context in preference data"
    assert window.execute_script("return document.scripts.length") == 0
    assert window.execute_script("return document.images.length") == 0
    assert window.execute_script("return document.querySelectorAll('h1').length") == 1
    shown = window.find_element(By.TAG_NAME, "main").text
    assert "<script>document.title = 'taken over'" in shown
    assert "</style></script></details><h1>not a heading</h1>" in shown
    assert "&amp; &lt;b&gt;" in shown
    assert "{{ 7 * 7 }} {% raw %}" in shown
    for unseen in ("U+202E", "U+2066", "U+200B", "U+0000", "U+D83D"):
        assert unseen in shown
    loaded = "return performance.getEntriesByType('resource').map(each => each.name)"
    assert [name for name in window.execute_script(loaded) if not name.startswith("data:")] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_examples_are_folded_beneath_a_warning_until_they_are_opened(window, page, width):
    show(window, page, width=width)
    warning = window.find_element(By.CSS_SELECTOR, ".warning")
    kind = window.find_element(By.CSS_SELECTOR, "details.examples")
    assert "offensive" in warning.text
    assert warning.location["y"] < kind.location["y"]
    text = kind.find_element(By.CSS_SELECTOR, ".side")
    assert not text.is_displayed()
    kind.find_element(By.TAG_NAME, "summary").click()
    assert text.is_displayed()
    kind.find_element(By.TAG_NAME, "summary").click()
    assert not text.is_displayed()


def test_long_texts_are_folded_within_their_example(window, page):
    show(window, page, width=360)
    for kind in window.find_elements(By.CSS_SELECTOR, "details.examples"):
        window.execute_script("arguments[0].open = true", kind)
    long = window.find_element(By.CSS_SELECTOR, "details.long")
    window.execute_script("arguments[0].scrollIntoView({block: 'center'})", long)
    folded = long.size["height"]
    long.find_element(By.TAG_NAME, "summary").click()
    assert long.size["height"] > 2 * folded


def test_texts_stand_side_by_side_where_there_is_room(window, page):
    for width, beside in ((360, False), (1400, True)):
        show(window, page, width=width)
        unfold(window)
        chosen, rejected = window.find_elements(By.CSS_SELECTOR, ".side")[:2]
        assert (chosen.rect["x"] < rejected.rect["x"]) == beside


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_can_be_read_on_both_grounds(window, page, scheme):
    """WCAG's contrast of texts against the ground, 4.5 or more."""
    show(window, page, width=1400, scheme=scheme)
    colors = window.execute_script(
        "const ground = getComputedStyle(document.documentElement).backgroundColor;"
        "return [...document.querySelectorAll('svg.plot text, figcaption, p, td, th, dt, dd')]"
        ".map(each => [getComputedStyle(each).fill, getComputedStyle(each).color, each.tagName])"
        ".map(([fill, color, tag]) => [tag === 'text' ? fill : color, ground])"
    )
    assert len(colors) > 300
    for color, ground in {tuple(pair) for pair in colors}:
        assert contrast(color, ground) >= 4.5, (color, ground)


def contrast(color: str, ground: str) -> float:
    """(L1 + .05) / (L2 + .05) of relative luminances (WCAG 2.2)."""
    low, high = sorted(map(luminance, (color, ground)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_page_prints_on_white_with_its_figures(window, page):
    show(window, page, width=1400, scheme="dark")
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    ground = window.execute_script(
        "return getComputedStyle(document.documentElement).backgroundColor"
    )
    assert ground == "rgb(255, 255, 255)"
    printed = window.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert len(printed["data"]) > 50_000

"""The page: self-contained, in order, equal for equal results, and no text becomes part of it."""

import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from page_samples import audit_of, comparison_rows, write_scores

from hidden_context.distributions import Categorical, Family, Normal, Point, SharedContext
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.report.page import model_for_examples, render
from hidden_context.report.read_results import as_results
from hidden_context.report.results import ExampleSource, Panel, Result, Run, Table

HOSTILE = (
    "<script>alert(1)</script>",
    "</style></title></details></svg><h1 onclick='x()'>a heading</h1>",
    '"><img src=//evil.example/x onerror="alert(1)">',
    "' onmouseover='alert(1)",
    "]]><!-- --><![CDATA[ &amp; &#60;b&#62; &lt;",
    "{{ 7 * 7 }}{% raw %}{# #}${7*7} $x^{$",
    "left \u202e right \u2066 \u200b\ufeff \x00\x07\x1b\r \ud83d half",
    "مرحبا 👩\u200d👩\u200d👧 שלום",
    "javascript:alert(1)",
    "y" * 100_000,
)
VOID = {"wbr", "meta", "link", "br", "img", "input", "hr"}


class Parsed(HTMLParser):
    """Elements with their attributes and ancestors, in order, and the text within each class."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
        self.texts: list[tuple[str, str]] = []
        """Name (or class) of the innermost element, and its text."""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        values = {name: value or "" for name, value in attrs}
        assert len(values) == len(attrs)
        self.elements.append((tag, values, tuple(self._open)))
        if tag not in VOID:
            self._open.append(values.get("class", tag))

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")

    def all_of(self, name: str) -> list[str]:
        """Values of an attribute."""
        return [values[name] for _, values, _ in self.elements if name in values]

    def structure(self) -> list[tuple[str, tuple[str, ...], str]]:
        """Elements with the names of their attributes, but for the insides of figures."""
        return [
            (tag, tuple(values), values.get("class", ""))
            for tag, values, inside in self.elements
            if "plot" not in inside and values.get("class") != "unseen"
        ]


def results_with(folder: Path, text: Callable[[int], str]) -> list[Result]:
    """One of each kind of result, with a text wherever data or users may put one."""
    folder.mkdir()
    audit = audit_of(("both",))
    (of_set,) = audit["sets"]
    of_set |= {"name": text(0), "source": text(1), "counts": {text(2): 3}}
    of_set["sentences"] = [
        {"question": text(k), "answer": text(k + 1)} for k in range(len(HOSTILE))
    ]
    audit["config"] = {text(k): text(k + 1) for k in range(len(HOSTILE))}
    audit["config"] |= {"nested": {text(3): [text(4), None]}, "versions": text(6)}
    audit["representation"]["description"] = text(5)
    audit["commit"] = text(3)
    for family in of_set["families"]:
        family["stopping_rule"] = text(6)
    rows = comparison_rows(Categorical(), num_rows=len(HOSTILE))
    for k, row in enumerate(rows):
        row |= {"prompt": f"p {text(k)}", "chosen": text(k), "rejected": text(k + 1)}
        if k % 2:
            row["rejected"] = [
                {"role": text(k)[:50], "content": text(k)},
                {"role": "", "content": text(k + 1)},
            ]
    scores = write_scores(folder / "both" / "categorical_scores.jsonl", Categorical(), rows)
    (folder / "audit.json").write_text(json.dumps(audit))
    other = Result(
        title=text(9)[:300],
        source=text(2),
        numbers=Table((text(0), text(1)), ((text(2), text(3)), (text(4), text(6)))),
        runs=(
            Run(
                *map(text, range(4)),
                settings={"counts": {text(4): text(6)}, text(7): {text(8): 1}},
            ),
        ),
        synthetic=(Panel(text(1), text(2), lambda axes: _named(axes, text(4))),),
        notes=tuple(map(text, range(len(HOSTILE)))),
    )
    return [*as_results(folder / "audit.json"), *as_results(scores), other]


def _named(axes: Axes, name: str) -> None:
    axes.set_xlabel(name)


def rendered(results: Sequence[Result], title: str = "A title", num_examples: int = 10) -> str:
    return render(results, title=title, num_examples=num_examples)


def hostile(number: int) -> str:
    return HOSTILE[number % len(HOSTILE)]


def harmless(number: int) -> str:
    """As long, so that the same texts are folded."""
    return "x" * len(hostile(number))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return results_with(tmp_path_factory.mktemp("page") / "hostile", hostile)


@pytest.fixture(scope="module")
def page(results: list[Result]) -> str:
    return rendered(results, title=" ".join(HOSTILE))


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    return Parsed(page)


# Texts are data


def test_hostile_texts_make_no_element_and_no_attribute(parsed: Parsed, tmp_path: Path):
    plain = Parsed(rendered(results_with(tmp_path / "plain", harmless), title="A title"))
    assert parsed.structure() == plain.structure()


def test_nothing_runs_and_nothing_is_fetched(parsed: Parsed, page: str):
    names = {tag for tag, _, _ in parsed.elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "form", "base", "image"}
    for _, values, _ in parsed.elements:
        assert not {name for name in values if name.startswith("on")}
        assert not {"src", "srcset", "action", "formaction", "data", "poster"} & set(values)
    links = [*parsed.all_of("href"), *parsed.all_of("xlink:href")]
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(
        r"@import|url\((?!#)", page[page.index("<style>") : page.index("</style>")]
    )


def test_the_insides_of_figures_are_drawings_and_texts(parsed: Parsed):
    inside = {tag for tag, _, open_ in parsed.elements if "plot" in open_}
    drawing = {"g", "path", "text", "tspan", "use", "defs", "clippath", "rect", "style"}
    assert inside <= drawing


def test_a_policy_forbids_scripts_and_everything_from_outside(parsed: Parsed):
    policies = [
        values["content"]
        for tag, values, _ in parsed.elements
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_the_page_can_be_written_and_holds_nothing_unseen(page: str):
    page.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b\ufeff]", page)
    assert "U+202E" in page
    assert "U+D83D" in page


def test_every_text_of_an_example_is_on_the_page_as_it_is(parsed: Parsed):
    whole = "".join(text for where, text in parsed.texts if where in ("turn", "unseen"))
    for text in HOSTILE:
        shown = re.sub(
            "[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b\ufeff\ud800-\udfff]",
            lambda found: f"U+{ord(found.group()):04X}",
            text,
        )
        assert shown in whole


def test_texts_of_data_find_their_own_direction(parsed: Parsed):
    turns = [values for _, values, _ in parsed.elements if values.get("class") == "turn"]
    assert len(turns) > 20
    assert all(values.get("dir") == "auto" for values in turns)


def test_long_texts_and_all_examples_are_folded(parsed: Parsed):
    folds = [values for tag, values, _ in parsed.elements if tag == "details"]
    assert {values.get("class", "") for values in folds} >= {"long", "examples", "run"}
    assert all("open" not in values for values in folds)
    for tag, values, inside in parsed.elements:
        if tag == "article":
            assert "examples" in inside
        if values.get("class") == "warning":
            assert "examples" not in inside


# Order


def test_equal_results_make_equal_pages(results: list[Result], page: str):
    assert rendered(results, title=" ".join(HOSTILE)) == page


def test_headings_are_in_order_and_skip_no_level(parsed: Parsed):
    levels = [int(tag[1]) for tag, _, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert levels.count(2) == 3 + 1  # chapters, and what the words mean
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(parsed: Parsed):
    ids = parsed.all_of("id")
    assert len(ids) == len(set(ids))
    links = {link for link in parsed.all_of("href") if link.startswith("#")}
    assert len(links) > 10
    assert {link[1:] for link in links} <= set(ids)
    assert set(parsed.all_of("aria-labelledby")) <= set(ids)


def test_the_contents_list_every_chapter_and_section(parsed: Parsed):
    listed = {values["href"][1:] for tag, values, _ in parsed.elements if tag == "a"}
    headed = {
        values["id"] for tag, values, _ in parsed.elements if tag in ("h2", "h3") and "id" in values
    }
    texts = {values["id"] for tag, values, _ in parsed.elements if tag == "article"}
    words = {values["id"] for tag, values, _ in parsed.elements if tag == "dt" and "id" in values}
    pictures = {
        values["id"] for tag, values, _ in parsed.elements if tag == "figure" and "id" in values
    }
    assert listed - texts - words - pictures == headed
    assert listed & words


def test_every_figure_is_an_image_in_words_with_a_caption(parsed: Parsed):
    kinds = [values.get("class") for tag, values, _ in parsed.elements if tag == "svg"]
    drawn, pictures = kinds.count("plot"), kinds.count("map")
    assert pictures > 0
    assert drawn + pictures == sum(tag == "figure" for tag, _, _ in parsed.elements) > 7
    assert drawn + pictures == sum(tag == "figcaption" for tag, _, _ in parsed.elements)
    shown = sum(values.get("class") == "sides" for _, values, _ in parsed.elements)
    assert kinds.count("utilities") == shown + 2 * pictures > 10
    for tag, values, _ in parsed.elements:
        if tag == "svg":
            assert values["role"] == "img"
            assert len(values["aria-label"]) > 10


def test_cells_of_tables_have_headers(parsed: Parsed):
    scopes = [values.get("scope") for tag, values, _ in parsed.elements if tag == "th"]
    assert set(scopes) == {"col", "row"}


# What is left out


def test_without_examples_no_text_of_a_response_is_on_the_page(results: list[Result]):
    page = rendered(results[1:2], num_examples=0)
    assert "Comparisons to look at" not in page
    assert "offensive" not in page


def test_sections_without_data_are_left_out():
    page = rendered([Result("Only a title", "somewhere")])
    assert "<h3" not in page
    assert "<table" not in page
    assert "<figure" not in page


# The model that examples are shown of


def scores_of(family: Family, nats: float | None) -> ExampleSource:
    estimate = None if nats is None else Estimate(nats)
    evaluation = Evaluation(family, trained_on="set", log_likelihood=estimate)
    return ExampleSource(evaluation, lambda: pytest.fail("only the chosen is read"))


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([scores_of(Normal(), -0.6), scores_of(Categorical(), -0.5)], 1),
        ([scores_of(Point(), -0.1), scores_of(Categorical(), -0.6)], 1),
        ([scores_of(Point(), -0.1), scores_of(SharedContext(), -0.6)], 1),
        ([scores_of(Point(), -0.6), scores_of(Point(), -0.5)], 1),
        ([scores_of(Normal(), -0.6), scores_of(SharedContext(), -0.5)], 0),
        ([scores_of(Normal(), None), scores_of(Categorical(), -0.5)], 1),
        ([scores_of(Normal(), None), scores_of(Categorical(), None)], 0),
        ([scores_of(Normal(), -0.5), scores_of(Normal(), -0.5)], 0),
        ([scores_of(Point(), None)], 0),
    ],
)
def test_examples_are_of_the_distributional_model_with_the_best_likelihood(
    files: list[ExampleSource], chosen: int
):
    assert model_for_examples(files) is files[chosen]

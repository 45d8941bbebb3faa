"""One self-contained HTML page of all results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hidden_context import __version__
from hidden_context.records import atomic_write
from hidden_context.report.density_drawing import description, drawing
from hidden_context.report.examples import Kind, examples_of, is_scalar_family
from hidden_context.report.panel_figures import as_svg, file_name
from hidden_context.report.read_results import as_results
from hidden_context.report.results import ExampleSource, Panel, Result, Table
from hidden_context.report.sections import Section, sections_of
from hidden_context.report.shown_text import with_visible_controls, without_unseen
from hidden_context.report.tables import decimal, predictions, setting

TEMPLATE = "report.html"
TITLE = "Hidden context in preference data"


@dataclass(frozen=True)
class DrawnPanel:
    """A panel and its drawing."""

    panel: Panel
    svg: Markup


@dataclass(frozen=True)
class DrawnSection:
    """A section with its drawings."""

    section: Section
    figures: tuple[DrawnPanel, ...]


@dataclass(frozen=True)
class Examples:
    """Comparisons of one data set that people should look at, by one model."""

    data_set: str
    family: str
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class Chapter:
    """Everything that the page has of one result."""

    id: str
    result: Result
    predictions: Table | None
    sections: tuple[DrawnSection, ...]
    examples: tuple[Examples, ...]


def write_page(
    results: Any, path: Path | str, *, title: str = TITLE, num_examples: int = 5
) -> Path:
    """Write one self-contained HTML page, whole or not at all; equal for equal results.

    Args:
        results: `Evaluation`s, `Scores`, an `AuditResult`, or paths of results; one, or a list.
        path: The page.
        title: Its heading.
        num_examples: Comparisons of each kind and data set that are shown with their texts; 0 for
            none.

    Returns:
        The path.

    Raises:
        UserError: Something is of no known kind, or a file cannot be read.
    """
    page = render(as_results(results), title=title, num_examples=num_examples)
    with atomic_write(Path(path)) as file:
        file.write(page.encode())
    return Path(path)


def render(results: Sequence[Result], *, title: str = TITLE, num_examples: int = 5) -> str:
    """The page as text; see `write_page`."""
    chapters = [_chapter(number, result, num_examples) for number, result in enumerate(results, 1)]
    environment = Environment(
        loader=PackageLoader("hidden_context.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": with_visible_controls,
        "setting": setting,
        "decimal": decimal,
        "drawing": drawing,
        "in_words": description,
    }
    page = environment.get_template(TEMPLATE).render(
        title=title, chapters=chapters, version=__version__
    )
    return without_unseen(page)


def panels_of(results: Sequence[Result]) -> list[Panel]:
    """Every figure of the page."""
    return [panel for each in results for part in sections_of(each) for panel in part.panels]


def model_for_examples(sources: Sequence[ExampleSource]) -> ExampleSource:
    """The distributional model with the best held-out likelihood; a scalar one if there is none.

    Of equals, and where likelihoods are not known, the first.
    """

    def worth(source: ExampleSource) -> tuple[bool, float]:
        nats = -math.inf if source.log_likelihood is None else source.log_likelihood
        return not is_scalar_family(source.family), nats

    return max(sources, key=worth)


def _chapter(number: int, result: Result, num_examples: int) -> Chapter:
    drawn: list[DrawnSection] = []
    count = 0
    for section in sections_of(result):
        figures = []
        for panel in section.panels:
            count += 1
            figures.append(DrawnPanel(panel, as_svg(panel, f"f{number}-{count}")))
        drawn.append(DrawnSection(section, tuple(figures)))
    examples = []
    data_sets = dict.fromkeys(source.data_set for source in result.examples)
    for data_set in data_sets if num_examples > 0 else ():
        of_set = [each for each in result.examples if each.data_set == data_set]
        source = model_for_examples(of_set)
        kinds = tuple(examples_of(source.load(), num_examples))
        examples.append(Examples(data_set, source.family.name, kinds))
    identifier = f"{number}-{file_name(result.title)}"
    table = predictions(result.evaluations)
    return Chapter(identifier, result, table, tuple(drawn), tuple(examples))

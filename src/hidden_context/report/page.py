"""One self-contained HTML page of all results."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hidden_context import __version__
from hidden_context.records import atomic_write
from hidden_context.report.density_drawing import description, drawing
from hidden_context.report.examples import Kind, examples_of, is_scalar_family
from hidden_context.report.measured import Panel, Result, ScoreFile, Table
from hidden_context.report.numbers_in_words import decimal, setting
from hidden_context.report.panel_figures import as_svg, file_name
from hidden_context.report.sections import Section, sections_of
from hidden_context.report.shown_text import with_visible_controls, without_unseen
from hidden_context.report.tables import predictions

TEMPLATE = "report.html"
Say = Callable[[str], None]
"""Tells what is being done."""


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


def render(results: Sequence[Result], *, title: str, num_examples: int, say: Say) -> str:
    """The page; equal for equal results.

    Args:
        results: At least one.
        title: Of the page.
        num_examples: Of each kind and data set; 0 for none.
        say: Is told what is being done.

    Raises:
        UserError: A score file that examples are taken from is damaged.
    """
    chapters = [
        _chapter(number, result, num_examples, say) for number, result in enumerate(results, 1)
    ]
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


def write_page(
    results: Sequence[Result], path: Path, *, title: str, num_examples: int, say: Say
) -> None:
    """Render and write, whole or not at all. See `render`."""
    page = render(results, title=title, num_examples=num_examples, say=say)
    with atomic_write(path) as file:
        file.write(page.encode())


def model_for_examples(files: Sequence[ScoreFile]) -> ScoreFile:
    """The distributional model with the best held-out likelihood; a scalar one if there is none.

    Of equals, and where likelihoods are not known, the first.
    """

    def worth(file: ScoreFile) -> tuple[bool, float]:
        nats = -math.inf if file.log_likelihood is None else file.log_likelihood
        return not is_scalar_family(file.family), nats

    return max(files, key=worth)


def _chapter(number: int, result: Result, num_examples: int, say: Say) -> Chapter:
    identifier = f"{number}-{file_name(result.title)}"
    say(f"drawing {result.title}")
    drawn = []
    for section in sections_of(result):
        figures = []
        for panel in section.panels:
            name = f"f{number}-{sum(len(each.figures) for each in drawn) + len(figures) + 1}"
            figures.append(DrawnPanel(panel, as_svg(panel, name)))
        drawn.append(DrawnSection(section, tuple(figures)))
    found = []
    data_sets = dict.fromkeys(file.data_set for file in result.score_files)
    for data_set in data_sets if num_examples > 0 else ():
        file = model_for_examples(
            [each for each in result.score_files if each.data_set == data_set]
        )
        say(f"choosing examples from {file.path}")
        found.append(Examples(data_set, file.family.name, tuple(examples_of(file, num_examples))))
    return Chapter(identifier, result, predictions(result.measured), tuple(drawn), tuple(found))

"""One self-contained HTML page of all results."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hidden_context import __version__
from hidden_context.measures.plots import data_set_of
from hidden_context.records import atomic_write
from hidden_context.report.density_drawing import description, drawing
from hidden_context.report.examples import examples_of
from hidden_context.report.panel_figures import as_svg, file_name
from hidden_context.report.read_results import as_results
from hidden_context.report.results import ExampleSource, Panel, Result
from hidden_context.report.sections import sections_of
from hidden_context.report.shown_text import with_visible_controls, without_unseen
from hidden_context.report.tables import decimal, predictions, setting

TEMPLATE = "report.html"
TITLE = "Hidden context in preference data"


def write_page(
    results: Any, path: Path | str, *, title: str = TITLE, num_examples: int = 5
) -> Path:
    """Write one self-contained HTML page, whole or not at all; equal for equal results.

    Args:
        results: `Evaluation`s, `Scores`, an `AuditResult`, `PeopleFindings`, or paths of results;
            one, or a list.
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
        "data_set": data_set_of,
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
        nats = source.evaluation.log_likelihood
        is_scalar = source.evaluation.family.is_scalar
        return not is_scalar, -math.inf if nats is None else nats.value

    return max(sources, key=worth)


def _chapter(number: int, result: Result, num_examples: int) -> dict[str, Any]:
    """What the template is given of one result."""
    names = (f"f{number}-{count}" for count in itertools.count(1))
    by_data_set: dict[str, list[ExampleSource]] = {}
    for source in result.examples if num_examples > 0 else ():
        by_data_set.setdefault(data_set_of(source.evaluation), []).append(source)
    chosen = map(model_for_examples, by_data_set.values())
    return {
        "id": f"{number}-{file_name(result.title)}",
        "result": result,
        "predictions": predictions(result.evaluations),
        "sections": [
            (section, [as_svg(panel, next(names)) for panel in section.panels])
            for section in sections_of(result)
        ],
        "examples": [
            (source.evaluation, examples_of(source.load(), num_examples)) for source in chosen
        ],
    }

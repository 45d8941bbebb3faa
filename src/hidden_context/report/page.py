"""One self-contained HTML page of all results."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hidden_context import __version__
from hidden_context.distributions import UtilityDistribution
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import KnownTruth
from hidden_context.measures.plots import data_set_of, set_in_words
from hidden_context.records import atomic_write
from hidden_context.report.answers import answer_to
from hidden_context.report.density_drawing import description, drawing
from hidden_context.report.examples import Example, Kind, examples_of
from hidden_context.report.glossary import Words
from hidden_context.report.panel_figures import as_svg, file_name
from hidden_context.report.read_results import as_results
from hidden_context.report.response_map import MARKS, anchor_of, response_map
from hidden_context.report.results import Answer, ExampleSource, Panel, Result, Section
from hidden_context.report.sections import sections_of
from hidden_context.report.shown_text import with_visible_controls, without_unseen
from hidden_context.report.tables import (
    decimal,
    predictions,
    setting,
    with_interval_apart,
)
from hidden_context.scores.scores import Scores

TEMPLATE = "report.html"
OBJECTIVES = ("helpful", "harmless")
"""Training sets of HH-RLHF that are judged by one objective, which is their name."""
TITLE = "Hidden context in preference data"


def write_page(
    results: Any, path: Path | str, *, title: str = TITLE, num_examples: int = 5
) -> Path:
    """Write one self-contained HTML page, whole or not at all; equal for equal results.

    Args:
        results: `Evaluation`s, `Scores`, an `AuditResult`, a `JudgeAudit`, `Axes`,
            `PeopleFindings`, an `ItemFit`, or paths of results; one, or a list.
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
    words = Words()
    environment.filters |= {
        "visible": with_visible_controls,
        "setting": setting,
        "decimal": decimal,
        "drawing": drawing,
        "in_words": description,
        "data_set": data_set_of,
        "set_in_words": set_in_words,
        "anchor": file_name,
        "linked": words.linked,
        "interval_apart": with_interval_apart,
    }
    page = environment.get_template(TEMPLATE).render(
        title=title, chapters=chapters, words=words, version=__version__
    )
    return without_unseen(page)


def panels_of(results: Sequence[Result]) -> list[Panel]:
    """Every figure of the page."""
    return [panel for each in results for panel in _panels(sections_of(each))]


def model_for_examples(sources: Sequence[ExampleSource]) -> ExampleSource:
    """The distributional model with the best held-out likelihood; a scalar one if there is none.

    One whose utilities have a density comes first: contexts that responses share leave the level of
    a response alone free, so its mean and spread mean little. Of equals, and where likelihoods are
    not known, the first.
    """
    return max(sources, key=lambda source: _worth(source.evaluation))


def _worth(evaluation: Evaluation) -> tuple[bool, bool, float]:
    """Distributional before scalar, with a density before without, then by held-out likelihood."""
    family, nats = evaluation.family, evaluation.log_likelihood
    return not family.is_scalar, family.has_density, -math.inf if nats is None else nats.value


def _chapter(number: int, result: Result, num_examples: int) -> dict[str, Any]:
    """What the template is given of one result."""
    names = (f"f{number}-{count}" for count in itertools.count(1))
    by_data_set: dict[str, list[ExampleSource]] = {}
    for source in result.examples if num_examples > 0 else ():
        by_data_set.setdefault(data_set_of(source.evaluation), []).append(source)
    chapter_id = f"{number}-{file_name(result.title)}"
    answer = answer_to(result)
    about = "" if answer.about is None else data_set_of(answer.about)
    in_order = sorted(by_data_set, key=lambda data_set: data_set != about)  # that first
    chosen = [model_for_examples(by_data_set[data_set]) for data_set in in_order]
    examples = [
        _Examples(source, num_examples, f"{chapter_id}-{k}", result.truth)
        for k, source in enumerate(chosen)
    ]
    picture, sections = _picture(examples, answer), sections_of(result)
    lead = _lead(sections) if picture is None or result.lead is not None else None
    drawn = {panel: as_svg(panel, next(names)) for panel in _panels(sections)}
    return {
        "id": chapter_id,
        "result": result,
        "answer": answer,
        "links": _links(answer, sections, result),
        "about": about,
        "picture": picture,
        "lead": None if lead is None else (lead, drawn[lead]),
        "predictions": predictions(result.evaluations),
        "is_held_out": result.is_held_out,
        "notes": (*result.notes, *result.on_overlap),
        "sections": [
            (
                section,
                [
                    [(panel, drawn[panel]) for panel in panels if panel is not lead]
                    for panels in (section.panels, section.more)
                ],
            )
            for section in sections
        ],
        "examples": examples,
    }


def _panels(sections: Sequence[Section]) -> list[Panel]:
    return [panel for section in sections for panel in (*section.panels, *section.more)]


def _lead(sections: Sequence[Section]) -> Panel | None:
    """What carries the answer where there is no map of responses: the first figure."""
    return next(iter(_panels(sections)), None)


def _links(answer: Answer, sections: Sequence[Section], result: Result) -> list[str]:
    """Where the evidence of each finding is, after the id of the chapter; empty if nowhere."""
    there = {section.title for section in sections}
    rest = "found" if result.sentences or result.numbers else ""
    return [
        file_name(finding.section) if finding.section in there else rest
        for finding in answer.findings
    ]


class _Examples:
    """Examples of one data set by one model, and where they are on the page."""

    def __init__(
        self,
        source: ExampleSource,
        num_examples: int,
        anchor: str,
        truth: Mapping[str, KnownTruth],
    ) -> None:
        self.evaluation = source.evaluation
        self.scores = source.load()
        self.kinds = examples_of(self.scores, num_examples)
        self.anchor = anchor
        known = truth.get(data_set_of(source.evaluation))
        of_scalar = source.evaluation.family.is_scalar
        self.truth = None if known is None or of_scalar else known.on_scale_of(self.scores.utility)
        self.caution = _of_one_objective(self.scores, known)

    def truth_of(self, example: Example) -> UtilityDistribution | None:
        """Of both responses, on the scale of the model; None where it is not known."""
        return None if self.truth is None else self.truth[example.row - 1]

    def id_of(self, kind: Kind, example: Example) -> str:
        """Of one example."""
        return anchor_of(self.anchor, kind, example)

    def first_id_of(self, example: Example) -> str:
        """Where the same pair is shown with its texts: at the first kind that it is an example of.

        Further votes on a pair are the same pair, whichever side won.
        """
        return next(
            self.id_of(kind, other)
            for kind in self.kinds
            for other in kind.examples
            if (other.prompt, set(other.texts)) == (example.prompt, set(example.texts))
        )


def _of_one_objective(scores: Scores, known: KnownTruth | None) -> str:
    """What spread cannot be where all votes that the model learned from have one objective."""
    if known is not None:
        if known.judged.shape[-1] > 1:
            return ""
        return (
            f"One judge made all comparisons that this model was trained on ({scores.trained_on}), "
            "so nothing is contested among them: what is called so here is the model's error."
        )
    objective = scores.trained_on if scores.trained_on in OBJECTIVES else ""
    if not objective and scores.objective is not None and len(set(scores.objective)) == 1:
        objective = str(scores.objective[0])
    if not objective:
        return ""
    return (
        f"All comparisons that this model was trained on were judged by one objective ({objective}"
        "): what is called contested here is no conflict of objectives, but disagreement within "
        "it, or the model's error."
    )


def _picture(examples: Sequence[_Examples], answer: Answer) -> dict[str, Any] | None:
    """The map of a distributional model, and its most contested and most agreed pair.

    Of the data set that the answer speaks of; without one, of the model that predicts best.
    """
    able = [each for each in examples if not each.evaluation.family.is_scalar]
    about = "" if answer.about is None else data_set_of(answer.about)
    able = [each for each in able if data_set_of(each.evaluation) == about] or able
    if not able:
        return None
    best = max(able, key=lambda each: _worth(each.evaluation))
    pairs = [
        (kind, kind.examples[0], best.id_of(kind, kind.examples[0]))
        for kind in best.kinds
        if kind.title in MARKS
    ]
    drawn = response_map(best.scores, best.kinds, best.anchor, best.truth)
    gain = None if answer.about is None else answer.about.against_base
    return {
        "of": best,
        "map": drawn,
        "pairs": pairs,
        "why": _why_this(best.evaluation, answer),
        "is_split": answer.verdict == "yes" and gain is not None and gain.against(0) == "above",
    }


def _why_this(drawn: Evaluation, answer: Answer) -> str:
    """Where another model than the one that the answer speaks of is drawn: why."""
    if answer.about is None or answer.about.family.has_density or not drawn.family.has_density:
        return ""
    return f" (best of those that have densities, which {answer.about.family.name} has not)"

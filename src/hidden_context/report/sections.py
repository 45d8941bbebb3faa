"""The sections of one result: a heading, what to know before reading, and the panels."""

from dataclasses import dataclass

from hidden_context.report.explained_variance_panels import (
    explained_variance_panels,
    published,
    training_panels,
)
from hidden_context.report.measured import Measured, Panel, Result
from hidden_context.report.prediction_panels import deviation_panels, reliability_panels
from hidden_context.report.risk_panels import risk_panels


@dataclass(frozen=True)
class Section:
    """Panels on one question."""

    title: str
    explanation: str
    panels: tuple[Panel, ...]


def sections_of(result: Result) -> list[Section]:
    """Those for which the result has something to draw."""
    measured = result.measured
    sections = [
        Section(
            "How much of the utility's variance does the response explain?",
            _about_explained_variance(measured),
            (*explained_variance_panels(measured), *training_panels(measured)),
        ),
        Section(
            "Who decides: the mean, or a quantile?",
            "The response with the higher mean utility is preferred, or the one with the higher "
            "α-quantile, which is wary of those who would be harmed. Bands and bars are 95 % "
            "intervals. A level read off these curves must be confirmed on other data.",
            tuple(risk_panels(result.curves)),
        ),
        Section(
            "Do the probabilities mean what they say?",
            "Each comparison counts in both orders, so the curves are symmetric.",
            tuple(reliability_panels(measured)),
        ),
        Section(
            "How wide are the learned utilities?",
            "In units in which mean and spread of all responses together have variance 1; only "
            "such units can be compared between models.",
            tuple(deviation_panels(measured)),
        ),
        Section("Learned and exact answers", "", result.synthetic),
    ]
    return [section for section in sections if section.panels]


def _about_explained_variance(measured: tuple[Measured, ...]) -> str:
    """What r² depends on besides hidden context, and what stands beside it."""
    text = (
        "r² is the variance of the mean utilities over that variance plus the mean variance. Bars "
        "are 95 % intervals over prompts. It grows with training and with data, and plain noise in "
        "the labels lowers it: compare only where the training was stopped by the same rule."
    )
    if any(each.nulls for each in measured):
        text += (
            " Grey: the range of r² where labels are drawn anew from the scalar model, so that "
            "there is no hidden context; r² below it speaks for hidden context, inside it does not."
        )
    sizes = {each.matched_size for each in measured if each.matched_size}
    if sizes:
        listed = " or ".join(map(str, sorted(sizes)))
        text += f" Hollow: trained on {listed} comparisons, as many as the smallest set has."
    if published([each.data_set for each in measured], [each.family for each in measured]):
        text += " Dashes: as published for Llama-2-7B trained on HH-RLHF (arXiv 2312.08358)."
    rules = {each.stopping_rule for each in measured if each.explained_variance}
    if len(rules) == 1 and "" not in rules:
        text += f" Training stopped by: {rules.pop()}."
    elif rules - {""}:
        text += " The stopping rule of each is in the table of runs."
    return text

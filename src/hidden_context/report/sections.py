"""The sections of one result: a heading, what to know before reading, and the panels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hidden_context.measures.evaluation import Evaluation, Histogram
from hidden_context.measures.plots import (
    RATE_NAMES,
    SCALE_NAMES,
    RateName,
    data_set_of,
    draw_explained_variance,
    draw_reliability,
    draw_risk,
    draw_std,
    draw_training_curve,
    labels_of,
    published,
    rate_of_longer,
    rates_by_level,
)
from hidden_context.report.results import Panel, Result


@dataclass(frozen=True)
class Section:
    """Panels on one question."""

    title: str
    explanation: str
    panels: tuple[Panel, ...]


def sections_of(result: Result) -> list[Section]:
    """Those for which the result has something to draw."""
    evaluations = result.evaluations
    sections = [
        Section(
            "How much of the utility's variance does the response explain?",
            _about_explained_variance(evaluations),
            (*explained_variance_panels(evaluations), *training_panels(evaluations)),
        ),
        Section(
            "Who decides: the mean, or a quantile?",
            "The response with the higher mean utility is preferred, or the one with the higher "
            "α-quantile, which is wary of those who would be harmed. Bands and bars are 95 % "
            "intervals. A level read off these curves must be confirmed on other data.",
            tuple(risk_panels(evaluations)),
        ),
        Section(
            "Do the probabilities mean what they say?",
            "Each comparison counts in both orders, so the curves are symmetric.",
            tuple(reliability_panels(evaluations)),
        ),
        Section(
            "How wide are the learned utilities?",
            "In units in which mean and spread of all responses together have variance 1; only "
            "such units can be compared between models.",
            tuple(std_panels(evaluations)),
        ),
        Section("Learned and exact answers", "", result.synthetic),
    ]
    return [section for section in sections if section.panels]


def _about_explained_variance(evaluations: Sequence[Evaluation]) -> str:
    """What r² depends on besides hidden context, and what stands beside it."""
    text = (
        "r² is the variance of the mean utilities over that variance plus the mean variance. Bars "
        "are 95 % intervals over prompts. It grows with training and with data, and plain noise in "
        "the labels lowers it: compare only where the training was stopped by the same rule."
    )
    some = [each for each in evaluations if each.explained_variance]
    if any(null.figure.startswith("r2_") and null.draws for each in some for null in each.null):
        text += (
            " Grey: the range of r² where labels are drawn anew from the scalar model, so that "
            "there is no hidden context; r² below it speaks for hidden context, inside it does not."
        )
    sizes = {each.matched_size for each in some if each.matched_size}
    if sizes:
        listed = " or ".join(map(str, sorted(sizes)))
        text += f" Hollow: trained on {listed} comparisons, as many as the smallest set has."
    if published(list(map(data_set_of, some)), [each.family.name for each in some]):
        text += " Dashes: as published for Llama-2-7B trained on HH-RLHF (arXiv 2312.08358)."
    rules = {each.stopping_rule for each in some}
    if len(rules) == 1 and "" not in rules:
        text += f" Training stopped by: {rules.pop()}."
    elif rules - {""}:
        text += " The stopping rule of each is in the table of runs."
    return text


Labelled = list[tuple[str, Evaluation]]
"""Evaluations by their labels in figures."""


def _by_set(
    evaluations: Sequence[Evaluation], has: Callable[[Evaluation], object]
) -> list[tuple[str, Labelled, list[Evaluation]]]:
    """For each data set: what has the measure, by label, and all (which the labels go by)."""
    listed = []
    for data_set in dict.fromkeys(map(data_set_of, evaluations)):
        all_of = [each for each in evaluations if data_set_of(each) == data_set]
        labelled = zip(labels_of(all_of), all_of, strict=True)
        some = [(label, each) for label, each in labelled if has(each)]
        if some:
            listed.append((data_set, some, all_of))
    return listed


def explained_variance_panels(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One for each scale: a mark with its interval for every training set and family."""
    labelled = list(zip(labels_of(evaluations), evaluations, strict=True))
    panels = []
    for scale, name in SCALE_NAMES.items():
        values = "; ".join(
            f"{label} on {data_set_of(each)} {each.explained_variance[scale].value:.3f}"
            for label, each in labelled
            if scale in each.explained_variance
        )
        if values:
            text = f"1: no spread was learned; 0: nothing but spread. {values}."
            draw = partial(draw_explained_variance, evaluations=evaluations, scale=scale)
            panels.append(Panel(f"r² {name}", text, draw))
    return panels


def training_panels(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One for each data set: r² on several scales against passes over the data."""
    panels = []
    for data_set, some, all_of in _by_set(evaluations, lambda each: each.training_curve):
        last = "; ".join(
            f"{label} after {point.passes:.3g} passes: {point.r2['pooled']:.3f} over all responses"
            for label, each in some
            for point in each.training_curve[-1:]
            if "pooled" in point.r2
        )
        text = f"Held-out r² as training goes on. {last}."
        draw = partial(draw_training_curve, evaluations=all_of)
        panels.append(Panel(f"r² against training, {data_set}", text, draw))
    return panels


def risk_panels(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One for each rate and training set, where it was measured at several levels."""
    rates: tuple[RateName, ...] = ("jailbreak_rate", "helpfulness_accuracy")
    panels = []
    for rate in rates:
        what = RATE_NAMES[rate][0].upper() + RATE_NAMES[rate][1:]
        has_rate = partial(rates_by_level, rate=rate)
        for trained_on, some, all_of in _by_set(evaluations, has_rate):
            if max(len(rates_by_level(each, rate)) for _, each in some) <= 2:
                continue  # the tables say as much as two points
            listed = [_rates_in_words(label, each, rate) for label, each in some]
            longer = rate_of_longer(all_of, rate)
            listed += [] if longer is None else [f"the longer text {longer:.3f}"]
            text = f"{what}, by the mean and by quantiles: {'; '.join(listed)}."
            draw = partial(draw_risk, evaluations=all_of, rate=rate)
            panels.append(Panel(f"{what}, trained on {trained_on}", text, draw))
    return panels


def _rates_in_words(label: str, evaluation: Evaluation, rate: RateName) -> str:
    (_, mean), *rest = rates_by_level(evaluation, rate)
    text = f"{label} {mean.value:.3f} by the mean"
    if rest:
        level, lowest = rest[-1]
        text += f", {lowest.value:.3f} by the {level:g}-quantile"
    return text


def reliability_panels(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One for each data set: predicted against observed shares of votes."""
    panels = []
    for data_set, some, all_of in _by_set(evaluations, lambda each: each.reliability):
        errors = "; ".join(
            f"{label} {each.expected_calibration_error.value:.3f}"
            for label, each in some
            if each.expected_calibration_error is not None
        )
        text = (
            "Share of votes for the first response where the model predicts a probability; on "
            "the diagonal it means what it says. The area of a mark grows with its votes."
        )
        text += f" Expected calibration error: {errors}." if errors else ""
        draw = partial(draw_reliability, evaluations=all_of)
        panels.append(Panel(f"Reliability, {data_set}", text, draw))
    return panels


def std_panels(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One for each data set: histograms of standard deviations."""
    panels = []
    for data_set, some, all_of in _by_set(evaluations, lambda each: each.std):
        medians = "; ".join(f"{label} {_median(each.std):.2f}" for label, each in some if each.std)
        text = (
            "Shares of the responses; all that lie beyond the right end are in the last bin. "
            f"Median: {medians}."
        )
        draw = partial(draw_std, evaluations=all_of)
        panels.append(Panel(f"Learned standard deviations, {data_set}", text, draw))
    return panels


def _median(histogram: Histogram) -> float:
    """By linear interpolation within its bin."""
    cumulative = np.concatenate([[0], np.cumsum(histogram.counts)])
    return float(np.interp(cumulative[-1] / 2, cumulative, histogram.edges))

"""The sections of one result: a heading, what to know before reading, and the panels."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from hidden_context.measures import plots
from hidden_context.measures.evaluation import Evaluation, Histogram
from hidden_context.measures.learned_enough import not_learned
from hidden_context.report.answers import PREDICTIONS, R2, RISK, answer_to
from hidden_context.report.results import Panel, Result, Section


def sections_of(result: Result) -> list[Section]:
    """Those for which the result has something to draw."""
    evaluations = result.evaluations
    truth = [known.evaluation for known in result.truth.values()]
    r2_panels = explained_variance_panels(evaluations, truth)
    curves = training_panels(evaluations)
    answer = answer_to(result)
    about = "" if answer.about is None else plots.data_set_of(answer.about)
    sections = [
        *([] if result.lead is None else [result.lead]),
        Section(
            R2,
            _about_explained_variance(evaluations, truth) + _about_truth(truth),
            (*r2_panels[:1], *_shown(about, curves)),
            more=(*r2_panels[1:], *(each for each in curves if each not in _shown(about, curves))),
            more_title="On other scales" + (", and of other training sets" if curves else ""),
        ),
        _of_one_set(
            about,
            RISK,
            "The response with the higher mean utility is preferred, or the one with the higher "
            "α-quantile, which is wary of those who would be harmed. Bands and bars are 95 % "
            "intervals. A level read off these curves must be confirmed on other data.",
            risk_panels(evaluations, truth),
        ),
        _of_one_set(
            about,
            PREDICTIONS,
            _about_reliability(evaluations),
            reliability_panels(evaluations, truth),
        ),
        _of_one_set(
            about,
            "How wide are the learned utilities?",
            "In units in which mean and spread of all responses together have variance 1; only "
            "such units can be compared between models."
            + (" The height of a true one is its share of all responses." if truth else ""),
            std_panels(evaluations, truth),
        ),
        Section("Learned and exact answers", "", result.synthetic),
        *result.sections,
    ]
    return [section for section in sections if section.panels or section.tables]


def _of_one_set(about: str, title: str, explanation: str, panels: list[Panel]) -> Section:
    """A section that shows the training set of which the answer speaks, and folds the others."""
    shown = _shown(about, panels)
    folded = [panel for panel in panels if panel not in shown]
    others = ", ".join(dict.fromkeys(panel.data_set for panel in folded))
    more_title = f"The same of models trained on {others}"
    return Section(title, explanation, tuple(shown), more=tuple(folded), more_title=more_title)


def _shown(about: str, panels: list[Panel]) -> list[Panel]:
    """Those of the training set of which the answer speaks; all, if none is."""
    return [panel for panel in panels if panel.data_set == about] or panels


def _about_truth(truth: Sequence[Evaluation]) -> str:
    """What is drawn in ink."""
    if not truth:
        return ""
    return (
        " Lines in the colour of the text, here and below, are the truth, which is known of "
        "generated data: what a model of unlimited data and size would show on the same test. The "
        "noise of each judge is spread in it; shared_context leaves noise to its likelihood, and "
        "has less spread."
    )


def _about_reliability(evaluations: Sequence[Evaluation]) -> str:
    """How to read the curves, and why some may be off the diagonal."""
    text = (
        "Share of votes for the first response where a model predicts a probability: on the "
        "diagonal it means what it says. The area of a mark grows with its votes. Each comparison "
        "counts in both orders, so the curves are symmetric."
    )
    if len({each.trained_on for each in evaluations if each.reliability}) > 1:
        text += (
            " A model is named by what it was trained on. Where it is measured on votes of other "
            "people or objectives, it is rightly off the diagonal."
        )
    return text


def _about_explained_variance(
    evaluations: Sequence[Evaluation], truth: Sequence[Evaluation]
) -> str:
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
            "there is no hidden context, by one partition, in which the real labels have an r² of "
            "their own. Below it r² speaks for hidden context; inside it says nothing, for r² sees "
            "less than the likelihood, on which the answer rests."
        )
    sizes = {each.matched_size for each in some if each.matched_size}
    if sizes:
        listed = " or ".join(map(str, sorted(sizes)))
        text += f" Hollow: trained on {listed} comparisons, as many as the smallest set has."
    if len({each.family.name for each in some}) > 1:
        text += (
            " Each family has a scale of its own: compare the r² of one family on several training "
            "sets, not those of two families."
        )
    sets_and_families = list(map(plots.data_set_of, some)), [each.family.name for each in some]
    if plots.published(*sets_and_families) and not truth:
        text += " Dashes: as published for Llama-2-7B trained on HH-RLHF (arXiv 2312.08358)."
    unlearned = [each for each in some if not_learned(each)]
    text += f" {not_learned(unlearned[0])}" if unlearned else ""
    others = ", ".join(f"{each.family.name}, {plots.set_in_words(each)}" for each in unlearned[1:])
    text += f" The same holds for {others}." if others else ""
    rules = {each.stopping_rule for each in some}
    if len(rules) == 1 and "" not in rules:
        text += f" Training: {rules.pop()}."
    elif rules - {""}:
        text += " The stopping rule of each is among the runs below."
    return text


def explained_variance_panels(
    evaluations: Sequence[Evaluation], truth: Sequence[Evaluation] = ()
) -> list[Panel]:
    """One for each scale: a mark with its interval for every training set and family."""
    labelled = list(zip(plots.labels_of(evaluations), evaluations, strict=True))
    labelled += [(plots.TRUTH, known) for known in truth]
    panels = []
    for scale, name in plots.SCALE_NAMES.items():
        values = "; ".join(
            f"{label} on {plots.data_set_of(each)} {each.explained_variance[scale].value:.3f}"
            for label, each in labelled
            if scale in each.explained_variance
        )
        if values:
            caption = "1: no spread was learned; 0: nothing but spread."
            draw = partial(
                plots.draw_explained_variance, evaluations=evaluations, scale=scale, truth=truth
            )
            panels.append(Panel(f"r² {name}", f"{caption} {values}.", draw, caption))
    return panels


Labelled = Sequence[tuple[str, Evaluation]]
"""Evaluations by their labels in figures."""


def _panels_by_set(
    evaluations: Sequence[Evaluation],
    title: str,
    draw: Callable[..., None],
    in_words: Callable[[Labelled], str],
    caption: str,
    truth: Sequence[Evaluation] = (),
) -> list[Panel]:
    """One for each data set of which there is something to say, told by what is said of it."""
    panels = []
    for data_set in dict.fromkeys(map(plots.data_set_of, evaluations)):
        of_set = [each for each in evaluations if plots.data_set_of(each) == data_set]
        known = [each for each in truth if each.trained_on == data_set]
        set_in_words = plots.set_in_words(of_set[0])
        named = list(zip(plots.labels_of(of_set), of_set, strict=True))
        text = in_words(named) and in_words([*named, *((plots.TRUTH, each) for each in known)])
        if text:
            drawn = partial(draw, evaluations=of_set)
            if known:
                drawn = partial(drawn, truth=known)
            panels.append(Panel(f"{title} {set_in_words}", text, drawn, caption, data_set))
    return panels


def training_panels(evaluations: Sequence[Evaluation]) -> list[Panel]:
    """One for each data set: r² on several scales against passes over the data."""

    def in_words(labelled: Labelled) -> str:
        curves = [(label, each.training_curve) for label, each in labelled if each.training_curve]
        last = "; ".join(
            f"{label} after {points[-1].passes:.3g} passes: {points[-1].r2['pooled']:.3f} over all "
            "responses"
            for label, points in curves
            if "pooled" in points[-1].r2
        )
        text = "Held-out r² as training goes on."
        return (f"{text} {last}." if last else text) if curves else ""

    title, caption = "r² against passes,", "Held-out r² as training goes on."
    return _panels_by_set(evaluations, title, plots.draw_training_curve, in_words, caption)


def risk_panels(evaluations: Sequence[Evaluation], truth: Sequence[Evaluation] = ()) -> list[Panel]:
    """One for each rate and training set, where it was measured at several levels."""
    rates: tuple[plots.RateName, ...] = ("jailbreak_rate", "helpfulness_accuracy")
    panels = []
    for rate in rates:
        what = plots.RATE_NAMES[rate][0].upper() + plots.RATE_NAMES[rate][1:]
        draw, in_words = partial(plots.draw_risk, rate=rate), partial(_rates_in_words, what, rate)
        caption = "By the mean and by quantiles."
        title = f"{what},"
        panels += _panels_by_set(evaluations, title, draw, in_words, caption, truth)
    return panels


def _rates_in_words(what: str, rate: plots.RateName, labelled: Labelled) -> str:
    by_level = [(label, plots.rates_by_level(each, rate)) for label, each in labelled]
    measured = [(label, levels) for label, levels in by_level if levels]
    if all(len(levels) <= 2 for _, levels in measured):
        return ""  # the tables say as much as two points
    texts = []
    for label, [(_, mean), *rest] in measured:
        text = f"{label} {mean.value:.3f} by the mean"
        for level, lowest in rest[-1:]:
            text += f", {lowest.value:.3f} by the {level:g}-quantile"
        texts.append(text)
    longer = plots.rate_of_longer([each for _, each in labelled], rate)
    texts += [] if longer is None else [f"the longer text {longer:.3f}"]
    return f"{what}, by the mean and by quantiles: {'; '.join(texts)}."


def reliability_panels(
    evaluations: Sequence[Evaluation], truth: Sequence[Evaluation] = ()
) -> list[Panel]:
    """One for each data set: predicted against observed shares of votes."""

    def in_words(labelled: Labelled) -> str:
        errors = "; ".join(
            f"{label} {each.expected_calibration_error.value:.3f}"
            for label, each in labelled
            if each.reliability and each.expected_calibration_error is not None
        )
        if not any(each.reliability for _, each in labelled):
            return ""
        text = "Observed against predicted shares of votes."
        text += f" Expected calibration error: {errors}." if errors else ""
        true = [each.reliability for label, each in labelled if label == plots.TRUTH]
        if true:
            listed = (f"{part.predicted:.2f} {part.observed:.2f}" for part in true[0])
            text += f" In truth, predicted and observed: {'; '.join(listed)}."
        return text

    title, caption = "Reliability,", "Observed against predicted shares of votes."
    return _panels_by_set(evaluations, title, plots.draw_reliability, in_words, caption, truth)


def std_panels(evaluations: Sequence[Evaluation], truth: Sequence[Evaluation] = ()) -> list[Panel]:
    """One for each data set: histograms of standard deviations."""

    def in_words(labelled: Labelled) -> str:
        stds = [(label, each.std) for label, each in labelled if each.std]
        medians = "; ".join(f"{label} {_median(std):.2f}" for label, std in stds)
        return f"{caption} Median: {medians}." if stds else ""

    caption = "Shares of the responses; all that lie beyond the right end are in the last bin."
    title = "Learned standard deviations,"
    return _panels_by_set(evaluations, title, plots.draw_std, in_words, caption, truth)


def _median(histogram: Histogram) -> float:
    """By linear interpolation within its bin."""
    cumulative = np.concatenate([[0], np.cumsum(histogram.counts)])
    return float(np.interp(cumulative[-1] / 2, cumulative, histogram.edges))

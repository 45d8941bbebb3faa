"""Several models on the same comparisons: which of them predicts people best, in one chapter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

from hidden_context.measures import plots
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.learned_enough import COIN, not_learned
from hidden_context.measures.paired import Paired, can_be_paired, paired
from hidden_context.report.answers import (
    MOST,
    can_predict,
    low_end,
    more_than_length,
    verdict_above,
)
from hidden_context.report.results import Answer, Finding, Panel, Result, Section, Table, Verdict
from hidden_context.report.tables import NATS_BEHIND, Row, decimal, table_of, with_interval
from hidden_context.scores.scores import Scores

BEST = "Which model predicts these votes best?"
BEHIND = "behind the best"
Pairs = Mapping[tuple[str, str], Paired]
"""The first model less the second, by their labels: each pair better first, then reversed."""


def same_comparisons(scores: Sequence[Scores]) -> list[list[Scores]]:
    """Groups of scores that can be held against each other, in their order."""
    groups: list[list[Scores]] = []
    for each in scores:
        group = next((group for group in groups if can_be_paired(group[0], each)), None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    return groups


def side_by_side(result: Result) -> Result:
    """A result of models on the same comparisons, with what they are to each other.

    One of a single model, or that has jailbreaks alone, stays as it is.
    """
    evaluations = [source.evaluation for source in result.examples]
    if len(evaluations) < 2:
        return result
    labels = plots.labels_of(evaluations)
    scores = dict(zip(labels, (source.load() for source in result.examples), strict=True))
    of_labels = dict(zip(labels, evaluations, strict=True))
    best, *others = sorted(labels, key=lambda label: -_nats(of_labels[label]))
    models = {label: of_labels[label] for label in (best, *others)}
    pairs: dict[tuple[str, str], Paired] = {}
    for first, second in combinations(models, 2):
        pairs[first, second] = paired(scores[first], scores[second])
        pairs[second, first] = paired(scores[second], scores[first])
    return replace(
        result,
        answer=_answer(models, pairs, best),
        numbers=_numbers(models, pairs, best),
        lead=_section(models, pairs, best),
    )


def _nats(evaluation: Evaluation) -> float:
    assert evaluation.log_likelihood is not None
    return evaluation.log_likelihood.value


def _rival(models: Mapping[str, Evaluation], pairs: Pairs, best: str) -> str:
    """The model that comes nearest to the best, by the lower end of the difference."""
    others = (label for label in models if label != best)
    return min(others, key=lambda label: low_end(pairs[best, label].log_likelihood))


def _answer(models: Mapping[str, Evaluation], pairs: Pairs, best: str) -> Answer:
    """Whether one is surely better than each of the others."""
    rival, told = _rival(models, pairs, best), models[best]
    gap = pairs[best, rival].log_likelihood
    what = f"{told.num_comparisons:,} {'held-out ' if _all_held_out(models) else ''}comparisons"
    number = f"{with_interval(gap, 4)} nats per vote"
    than = f"than {rival}" + (", which comes nearest" if len(models) > 2 else "")
    verdict: Verdict = "yes" if gap.against(0) == "above" else "cannot tell"
    sentence = f"{best} predicts these {what} better {than}: by {number}."
    if verdict == "cannot tell":
        sentence = (
            f"These {what} cannot tell whether {best} or {rival} predicts people better: "
            f"the difference is {number}."
        )
    if told.overlap is not None and not told.is_held_out:
        verdict = "cannot tell"
        sentence = (
            f"These results cannot tell which model predicts people best: {best} is ahead of "
            f"{rival} by {number}, but {told.overlap.rows} of the {told.num_comparisons:,} "
            "comparisons are of prompts that it was trained on."
        )
    evidence = _each_alone(models) + _surely_worse(models, pairs, best)
    findings = [
        _decides_better(models, pairs, best, rival),
        _says_more(models, pairs),
        can_predict(told, best),
        more_than_length(told, best),
        _held_out(models),
    ]
    return Answer(
        verdict, sentence, evidence, tuple(each for each in findings if each)[:MOST], told
    )


def _each_alone(models: Mapping[str, Evaluation]) -> str:
    listed = ", ".join(f"{label} {decimal(_nats(each))}" for label, each in models.items())
    prompts = f"{next(iter(models.values())).num_prompts:,} prompts"
    return f"Log-likelihood: {listed}; a coin has {decimal(COIN)}. Intervals over {prompts}."


def _surely_worse(models: Mapping[str, Evaluation], pairs: Pairs, best: str) -> str:
    """Where there are more than two: which are told from the best, and which are not."""
    if len(models) < 3:
        return ""
    gaps = {label: pairs[best, label].log_likelihood for label in models if label != best}
    worse = [label for label, gap in gaps.items() if gap.against(0) == "above"]
    open_ = [label for label in gaps if label not in worse]
    text = f" Surely worse than {best}: {', '.join(worse)}." if worse else ""
    return text + (f" Not told from {best}: {', '.join(open_)}." if open_ else "")


def _decides_better(
    models: Mapping[str, Evaluation], pairs: Pairs, best: str, rival: str
) -> Finding:
    pair = pairs[best, rival]
    own, other = (decimal(models[label].accuracy["mean"].value) for label in (best, rival))
    question = f"Is {best} right more often, too?"
    if pair.accuracy.low is None:
        text = f"Both decide every comparison alike; they are right on {own} of the votes."
        return Finding(question, "cannot tell", text, BEST)
    text = (
        f"{best} is right on {own} of the votes, {rival} on {other}; difference "
        f"{with_interval(pair.accuracy)}. Only {best} is right on {pair.only_first:,} comparisons, "
        f"only {rival} on {pair.only_second:,}."
    )
    return Finding(question, verdict_above(pair.accuracy, 0.0), text, BEST)


def _says_more(models: Mapping[str, Evaluation], pairs: Pairs) -> Finding | None:
    """The best distribution against the best scalar model, if they were trained alike."""
    scalar = [label for label, each in models.items() if each.family.is_scalar]
    others = [label for label in models if label not in scalar]
    if not (scalar and others):
        return None
    first, second = (max(some, key=lambda label: _nats(models[label])) for some in (others, scalar))
    gap = pairs[first, second].log_likelihood
    verdict = verdict_above(gap, 0.0)
    text = f"{first} gains {with_interval(gap, 4)} nats per vote on {second}."
    if unlearned := not_learned(models[first]):
        verdict = "cannot tell"
        text += f" {unlearned}"
    rules = [models[label].stopping_rule for label in (first, second)]
    if verdict == "yes" and rules[0] != rules[1]:
        verdict = "cannot tell"
        text += f" But they were not trained alike: {first} {rules[0]}, {second} {rules[1]}."
    return Finding("Would a single score hide something?", verdict, text, BEST)


def _all_held_out(models: Mapping[str, Evaluation]) -> bool:
    return all(each.is_held_out for each in models.values())


def _held_out(models: Mapping[str, Evaluation]) -> Finding:
    question = "Are these figures held-out?"
    if _all_held_out(models):
        text = "No model was trained on a prompt of these comparisons."
        return Finding(question, "yes", text, "")
    seen = [label for label, each in models.items() if each.overlap and not each.is_held_out]
    if seen:
        text = f"Trained on some of these prompts: {', '.join(seen)}."
        return Finding(question, "no", text, "")
    unknown = [label for label, each in models.items() if each.overlap is None]
    text = f"Nothing records which prompts {' and '.join(unknown)} had seen."
    return Finding(question, "cannot tell", text, "")


def _numbers(models: Mapping[str, Evaluation], pairs: Pairs, best: str) -> Table | None:
    """A row for each model, the paired differences from the best beside its own figures."""
    rows: list[Row] = []
    for label, each in models.items():
        gap = None if label == best else pairs[label, best]
        row: Row = {
            "model": label,
            "scores": each.name,
            "log-likelihood, nats per vote": each.log_likelihood,
            NATS_BEHIND: None if gap is None else gap.log_likelihood,
            "accuracy": each.accuracy.get("mean"),
            f"accuracy {BEHIND}": None if gap is None else gap.accuracy,
            "expected calibration error": each.expected_calibration_error,
            "r², pooled": each.explained_variance.get("pooled"),
        }
        rows.append(row)
    return table_of(rows)


def _section(models: Mapping[str, Evaluation], pairs: Pairs, best: str) -> Section:
    """The differences drawn, and each model against each."""
    nats: dict[str, Estimate | None] = {best: None}
    right: dict[str, Estimate | None] = {best: None}
    for label in models:
        if label != best:
            nats[label], right[label] = (
                pairs[label, best].log_likelihood,
                pairs[label, best].accuracy,
            )
    panels = (
        _panel(f"Log-likelihood {BEHIND}", "difference, nats per vote", best, nats),
        _panel(f"Accuracy {BEHIND}", "difference, share of the votes", best, right),
    )
    explanation = (
        "Differences on the same comparisons, which are far surer than the figures of each model "
        "alone; 95 % intervals over prompts. An interval that holds 0 cannot tell two models apart."
    )
    tables = (("Each against each", _table(pairs)),) if len(models) > 2 else ()
    return Section(BEST, explanation, panels, tables)


def _panel(title: str, unit: str, best: str, gaps: Mapping[str, Estimate | None]) -> Panel:
    values = "; ".join(
        f"{label} {with_interval(gap, 4)}" for label, gap in gaps.items() if gap is not None
    )
    caption = f"0 is {best}; lines are 95 % intervals of the difference."
    draw = partial(plots.draw_behind, behind=gaps, what=unit)
    return Panel(title, f"{caption} {values}.", draw, caption, inches=(4.6, 1.0 + 0.32 * len(gaps)))


def _table(pairs: Pairs) -> Table:
    """Each pair once, the model of the higher likelihood first."""
    rows = [
        (
            first,
            second,
            with_interval(pair.log_likelihood, 4),
            with_interval(pair.accuracy),
            f"{pair.only_first:,}",
            f"{pair.only_second:,}",
        )
        for (first, second), pair in list(pairs.items())[::2]
    ]
    headers = ("model", "against", "nats per vote more", "accuracy more")
    return Table((*headers, "only it is right", "only the other is"), tuple(rows))

"""`find_axes`: in which named features of responses do people, or other contexts, differ?"""

from collections.abc import Callable, Mapping

import numpy as np

from hidden_context.axes.axes import AVERAGE, Axes, Axis, Exemplar, TestedFeature
from hidden_context.axes.design import WHERE, Design, read_design
from hidden_context.axes.features import Feature
from hidden_context.axes.selection import Selection, select_axes
from hidden_context.axes.spread_test import Shuffle
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate

WITHIN = 1.96
"""Posterior standard deviations to each end of a context's interval."""
OF_ANNOTATORS = " Leave out `by`: what the annotators themselves differ in may be told."
"""What to do where there are too few of them to exchange between groups."""
GOES_ALONG = 0.5
"""Correlation from which on a feature is named beside an axis."""


def find_axes(
    comparisons: Comparisons,
    *,
    by: str | None = None,
    features: Mapping[str, Callable[[str], float]] | None = None,
    num_words: int = 100,
    level: float = 0.02,
    num_permutations: int = 999,
    num_exemplars: int = 5,
    seed: int = 0,
    progress: bool = False,
) -> Axes:
    """Find the features whose effect on who wins differs between contexts.

    What all contexts like is no axis. A logistic model of who wins gets a common effect of each
    feature; then the feature joins whose effect is most spread over contexts, then that which is
    most spread beyond it, and so on (`selection`). Ties are left out: under Davidson's model (1970)
    what is left follows the same utilities, whatever each one's habit of tying.

    False axes are bounded by permutations with the largest statistic of all features (Westfall and
    Young 1993): contexts change places among what was judged, and something as large is found in
    at most a share `level` of data in which nothing differs. This needs only that, if contexts do
    not differ, each assignment of them was as likely as the observed one: among votes on the same
    two responses this is so by itself, among comparisons of a prompt if it was left to chance who
    judged which; `Axes.shuffled` says which it was. A group's annotators keep all of their
    comparisons. Beyond the first axis the bound is approximate (the others' spread is estimated),
    and which of several correlated features is the cause is not bounded: `Axis.along` lists them.

    Args:
        comparisons: Of texts, with who judged them.
        by: What a context is: annotator, group, prompt, or any column; annotators if there are
            any, else groups, if not given.
        features: Further features of a response by their names, beside the named ones and words.
        num_words: Words and two in a row, English stop words left out, those that tell most
            responses apart.
        level: Probability of any axis where nothing differs.
        num_permutations: How often contexts change places.
        num_exemplars: Pairs to show of each axis, on which its sides disagree most.
        seed: Of the permutations.
        progress: Show how far it is.

    Raises:
        UserError: Nothing says which comparisons were judged alike, there are too few contexts or
            features, or fewer permutations than `level` needs.
    """
    _check(level, num_permutations, {"num_words": num_words, "num_exemplars": num_exemplars})
    design = read_design(comparisons, by=by, num_words=num_words, features=features or {})
    shuffle = design.shuffle(num_permutations, seed, progress=progress)
    _check_arrangements(shuffle, design, level, comparisons.source)
    selection = select_axes(design.decisions, shuffle, level)
    return Axes(
        source=comparisons.source,
        by=design.by,
        axes=tuple(
            _axis(place, design, selection, level, num_exemplars)
            for place in range(len(selection.chosen))
        ),
        stopped_p=None if np.isnan(selection.stopped_p) else selection.stopped_p,
        shuffled=WHERE[design.where],
        counts=design.counts,
        tested=_tested(design, selection),
        config={
            "level": level,
            "num_permutations": num_permutations,
            "num_words": num_words,
            "further_features": list(features or {}),
            "seed": seed,
        },
        notes=design.notes,
    )


def _check(level: float, num_permutations: int, counts: Mapping[str, int]) -> None:
    """Refuse settings that cannot be."""
    if not 0 < level < 1:
        raise UserError(f"level is {level}; expected a probability between 0 and 1.")
    if (1 + num_permutations) * level < 1:
        raise UserError(
            f"num_permutations is {num_permutations}; a level of {level} takes "
            f"{int(np.ceil(1 / level)) - 1} or more."
        )
    for name, number in counts.items():
        if number < 0:
            raise UserError(f"{name} is {number}; expected 0 or more.")


def _check_arrangements(shuffle: Shuffle, design: Design, level: float, source: object) -> None:
    """Refuse contexts that can change places in too few ways for the level."""
    if shuffle.log_arrangements < -np.log(level):
        raise UserError(
            f"{source}: values of {design.by!r} can be assigned in only "
            f"{np.exp(shuffle.log_arrangements):.0f} ways that differ, among "
            f"{WHERE[design.where]}; a level of {level} takes {np.ceil(1 / level):.0f} or more."
            + (OF_ANNOTATORS if design.where == "whole annotators" else "")
            + "".join(f" {note[0].upper()}{note[1:]}." for note in design.notes)
        )


def _tested(design: Design, selection: Selection) -> tuple[TestedFeature, ...]:
    """What the first step says of every feature, the largest statistic first."""
    names = [*(feature.name for feature in design.features), AVERAGE]
    order = np.argsort(-selection.alone, kind="stable")
    return tuple(
        TestedFeature(names[at], float(selection.alone[at]), float(selection.alone_p[at]))
        for at in order
    )


def _axis(
    place: int, design: Design, selection: Selection, level: float, num_exemplars: int
) -> Axis:
    number, effects = selection.chosen[place], selection.effects
    is_average = number == len(design.features)
    feature = (
        Feature(AVERAGE, "what most like", "what few like")
        if is_average
        else design.features[number]
    )
    average = 1.0 if is_average else float(effects.common[number])
    unit = selection.average_size if is_average else 1.0
    return Axis(
        name=feature.name,
        more=feature.more,
        less=feature.less,
        average=average,
        spread=float(effects.spread[place]) / unit,
        p=selection.p[place],
        effects=_effects(design, average, effects.own[:, place], effects.own_std[:, place], unit),
        along=_along(number, design, selection, level),
        exemplars=tuple(_exemplars(place, design, selection, num_exemplars)),
    )


def _effects(
    design: Design, average: float, own: np.ndarray, std: np.ndarray, unit: float
) -> dict[str, Estimate]:
    how = "posterior of a normal distribution over contexts, by Laplace's approximation"
    return {
        name: Estimate(
            average + value / unit,
            average + (value - WITHIN * spread) / unit,
            average + (value + WITHIN * spread) / unit,
            how,
        )
        for name, value, spread in zip(design.contexts, own.tolist(), std.tolist(), strict=True)
    }


def _along(number: int, design: Design, selection: Selection, level: float) -> dict[str, float]:
    """Features that alone are spread too, by their correlation with this one."""
    columns = selection.candidates
    size = np.sqrt((columns**2).mean(0))
    alike = (columns * columns[:, [number]]).mean(0) / (size * size[number]).clip(1e-300)
    names = [feature.name for feature in design.features]
    others = [
        at
        for at in np.argsort(-np.abs(alike))
        if at < len(names)
        and at not in selection.chosen
        and abs(alike[at]) >= GOES_ALONG
        and selection.alone_p[at] <= level
    ]
    return {names[at]: float(alike[at]) for at in others}


def _exemplars(place: int, design: Design, selection: Selection, most: int) -> list[Exemplar]:
    """Pairs whose probability one standard deviation of the effect changes most, no text twice.

    Where most pairs have several votes, those on which both sides voted come first; how they voted
    is not looked at.
    """
    effects, column = selection.effects, selection.candidates[:, selection.chosen[place]]
    average = design.decisions.features @ effects.common
    moved = effects.spread[place] * column
    probs = [1 / (1 + np.exp(-(average + sign * moved))) for sign in (1, -1)]
    is_for = effects.own[design.decisions.context, place] > 0
    both = np.zeros(len(column), bool)
    for places in design.places.values() if design.where == "pair" else ():
        both[places] = is_for[places].any() and not is_for[places].all()
    exemplars: list[Exemplar] = []
    seen: set[str] = set()
    for at in np.lexsort((-np.abs(probs[0] - probs[1]), ~both)):
        pair = design.pairs[at]
        if len(exemplars) == most:
            break
        if seen & {pair.first, pair.second} or not (pair.first and pair.second):
            continue
        seen |= {pair.first, pair.second}
        is_more = bool(column[at] > 0)
        more, less = (pair.first, pair.second) if is_more else (pair.second, pair.first)
        by_for, by_against = (float(prob[at]) if is_more else 1 - float(prob[at]) for prob in probs)
        sides = _votes(design, design.places[pair.texts], more, is_for)
        exemplars.append(Exemplar(pair.row, pair.prompt, more, less, by_for, by_against, *sides))
    return exemplars


def _votes(
    design: Design, places: list[int], more: str, is_for: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Votes for `more` and all votes on a pair, of contexts above the average and below it."""
    counted = np.zeros((2, 2))
    wins, weight = design.decisions.wins, design.decisions.weight
    for at in places:
        share = wins[at] if design.pairs[at].first == more else 1 - wins[at]
        counted[0 if is_for[at] else 1] += weight[at] * np.array([share, 1])
    (a, b), (c, d) = counted.tolist()
    return (a, b), (c, d)


__all__ = ["find_axes"]

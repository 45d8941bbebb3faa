"""The fits of an audit in their order, known before the first of them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hidden_context.audits.corrected_r2 import NUM_DRAWS
from hidden_context.audits.crossfit import cross_fit_cost, refit_cost
from hidden_context.audits.fitted_gain import NORMAL_NOISE, fit_to_all_cost
from hidden_context.audits.group_heads import (
    NUM_SHUFFLINGS,
    LabelledVectors,
    frequent_labels,
)
from hidden_context.audits.null_fits import are_votes
from hidden_context.audits.plan import Plan
from hidden_context.audits.prepared_set import PreparedSet
from hidden_context.audits.refits import NUM_REFITS
from hidden_context.audits.scalar_heads import MOST_AT_ONCE
from hidden_context.audits.work import (
    FIT,
    FIT_FOR_CORRECTION,
    FIT_LABELLED,
    FIT_TO_ALL,
    FIT_TO_AS_MANY,
    FIT_TO_DRAWN,
    FIT_TO_RESAMPLED,
    LAPSE,
    MEASURE,
    TIES,
    Fit,
    Stage,
    fitted_to_all,
    measured,
    of_set,
)
from hidden_context.distributions import Family


def planned_stages(
    sets: Sequence[PreparedSet], plan: Plan, matched: Mapping[str, np.ndarray]
) -> list[Stage]:
    """Of every set; `matched` are the rows by which several are compared at one size."""
    return [
        Stage(of_set(prepared.name if matched else "", what), tuple(fits))
        for prepared in sets
        for what, fits in _of_one(prepared, plan, matched.get(prepared.name))
    ]


def _of_one(
    prepared: PreparedSet, plan: Plan, matched_rows: np.ndarray | None
) -> Iterator[tuple[str, list[Fit]]]:
    pairs, folds = prepared.pairs, plan.num_folds
    scalar, *others = plan.families
    outcomes = prepared.table.outcomes
    has_votes = are_votes(outcomes, prepared.table.num_votes)

    def crossed(family: Family, num_seeds: int = 1) -> Fit:
        return cross_fit_cost(family, pairs, num_seeds, folds)

    for family in plan.families:
        yield FIT.format(family.name), [crossed(family, plan.num_seeds)]
    yield LAPSE, [crossed(scalar, plan.num_seeds)]
    for family in plan.families:
        yield MEASURE.format(family.name), [Fit(measured(family.name), len(pairs))]
        if family in others:
            if has_votes and len(pairs) <= MOST_AT_ONCE:
                drawn = refit_cost(family, pairs, NUM_DRAWS, folds)
                yield FIT_FOR_CORRECTION.format(family.name), [drawn]
            yield (
                FIT_TO_RESAMPLED.format(family.name),
                [refit_cost(family, pairs, NUM_REFITS, folds)],
            )
    if plan.num_null_draws and has_votes:
        if plan.ties == "half" and outcomes.has_ties:
            yield TIES, [crossed(scalar, plan.num_seeds)]
        for family in plan.families:
            to_draws = refit_cost(family, pairs, plan.num_null_draws + 1, folds)
            yield FIT_TO_DRAWN.format(family.name), [crossed(family), to_draws]
        cost = fit_to_all_cost(pairs, plan.num_null_draws + 1)
        names = [*(family.name for family in plan.families), NORMAL_NOISE]
        yield FIT_TO_ALL, [Fit(fitted_to_all(name), cost) for name in names]
    if matched_rows is not None and len(matched_rows) < len(pairs):
        fewer = pairs.selected(matched_rows)
        for family in plan.families:
            cost = cross_fit_cost(family, fewer, plan.num_seeds, folds)
            yield FIT_TO_AS_MANY.format(family.name), [cost]
    if others and prepared.table.labelled_by is not None:
        yield from _by_label(prepared, scalar, others[0], folds)


def _by_label(
    prepared: PreparedSet, scalar: Family, other: Family, num_folds: int
) -> Iterator[tuple[str, list[Fit]]]:
    pairs = prepared.pairs
    labels, num_labels = frequent_labels(prepared.table.label, pairs.prompt)
    if num_labels < 2:
        return
    judged = LabelledVectors(pairs.vectors, num_labels).judged(pairs, labels)
    some = np.arange(min(len(pairs), MOST_AT_ONCE))
    plain = cross_fit_cost(scalar, pairs.selected(some), 1, num_folds)
    with_labels = cross_fit_cost(scalar, judged.selected(some), 1, num_folds)
    yield FIT_LABELLED.format(scalar.name), [plain, *[with_labels] * (1 + NUM_SHUFFLINGS)]
    yield FIT_LABELLED.format(other.name), [cross_fit_cost(other, judged, 1, num_folds)] * 2

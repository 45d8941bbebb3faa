"""How long fits will take, from one step that is measured before them."""

from time import perf_counter

from hidden_context.people.chosen import RIDGES, check_structure, most_fits
from hidden_context.people.fit import started
from hidden_context.people.marginal import Climb, Design
from hidden_context.people.source import Source

STEPS = 60
"""Of a fit, on average, in units of the one that is measured: of two to four directions, from
nothing. (Steps of a fit begin where the one before ended, but some have more directions.)"""
DIRECTIONS = 4
FITS_OF_SHARE = 8
"""That the interval of the share of disagreement takes as long as."""


def seconds_expected(source: Source, num_directions: int | None, num_folds: int) -> float:
    """Of choosing the structure, if it is not given, the fit, and the table by n."""
    check_structure(source, num_directions)
    size = DIRECTIONS if num_directions is None else num_directions
    size = min(size, source.most_directions)
    model, state, chunks = started(source, size, seed=0)
    design = Design(source.vectors, ridge=1.0)
    climb = Climb(model, design, chunks, state)
    before = perf_counter()
    climb(state.packed())
    of_step = perf_counter() - before
    of_fold = 2 if source.vectors is None else 2 + len(RIDGES)
    fits = most_fits(source, num_directions) + 1 + of_fold * num_folds + FITS_OF_SHARE
    return of_step * STEPS * fits

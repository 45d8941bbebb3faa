"""Data sets cut to one size by whole prompts: r² grows with the amount of data."""

from collections.abc import Mapping

import numpy as np

from hidden_context.errors import UserError
from hidden_context.measures.prompts import PromptLabels, group_prompts


def match_sizes(
    prompts_by_set: Mapping[str, PromptLabels], *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Rows of each data set that make all as large as the smallest, within one prompt.

    The smallest set is kept whole. Of the others prompts are taken in a random order, with all
    their rows, until the next would be too much. The seed is the same for every set, so that a
    set's rows do not depend on the others but for the size.

    Returns:
        Row numbers in ascending order, by name of the data set.

    Raises:
        UserError: There are no data sets, or one is empty or loses all its rows.
    """
    if not prompts_by_set:
        raise UserError("there are no data sets; give at least one.")
    groups = {name: group_prompts(labels) for name, labels in prompts_by_set.items()}
    size = min(len(of_set.group) for of_set in groups.values())
    kept = {}
    for name, of_set in groups.items():
        order = np.random.default_rng(seed).permutation(of_set.num_prompts)
        taken = order[np.cumsum(of_set.num_rows[order]) <= size]
        if len(taken) == 0:
            raise UserError(
                f"data set {name!r}: the prompt drawn first has more rows than the smallest set "
                f"({size}); give another seed."
            )
        kept[name] = np.flatnonzero(np.isin(of_set.group, taken))
    return kept

"""Heads that know who judged: what lies between groups, and whether it helps to know."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.crossfit import CrossFit, cross_fit
from hidden_context.audits.family_fit import MOST_ON_A_CURVE, FamilyFit
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.heads import Pairs
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.result import BetweenGroups
from hidden_context.audits.vectors import TextVectors
from hidden_context.measures.between_groups import between_groups
from hidden_context.measures.bootstrap import bootstrap_ratio
from hidden_context.measures.estimate import Estimate

MOST_LABELS = 16
"""The most frequent ones have a head of their own; time grows with their number."""
FEWEST_PROMPTS = 10
"""That a label needs: with fewer, whole folds would not have it."""
COMPONENTS = 32
"""Axes, the first ones, along which a label's head may differ from the common one."""


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """The vectors of texts, with those of one label's own head behind: x, then (1, x) ⊗ label.

    A row is `text * (num_labels + 1) + label + 1`; label -1 has no head of its own.
    """

    of_texts: TextVectors
    num_labels: int

    @property
    def components(self) -> int:
        """Axes along which labels differ."""
        return min(COMPONENTS, self.of_texts.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        num_texts, width = self.of_texts.shape
        return num_texts * (self.num_labels + 1), width + self.num_labels * (1 + self.components)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        text, label = np.divmod(rows, self.num_labels + 1)
        common = self.of_texts[text]
        own = torch.cat([torch.ones(len(rows), 1), common[:, : self.components]], dim=1)
        of_label = torch.zeros(len(rows), self.num_labels + 1, own.shape[1])
        of_label[torch.arange(len(rows)), torch.from_numpy(label)] = own
        return torch.cat([common, of_label[:, 1:].flatten(1)], dim=1)

    def judged(self, pairs: Pairs, labels: np.ndarray | int) -> Pairs:
        """The same comparisons of texts, judged by these labels."""
        first, second = (
            texts * (self.num_labels + 1) + labels + 1 for texts in (pairs.first, pairs.second)
        )
        return replace(pairs, vectors=self, first=first, second=second)


def between_labels(
    fit: FamilyFit,
    label: np.ndarray,
    *,
    by: str,
    seed: int,
    progress: bool = False,
) -> BetweenGroups | None:
    """Fit heads with the labels, and with shuffled ones, in the first seed's folds.

    One ridge is on the common head and on what a label adds to it, chosen on other folds. None
    where there are no two labels of enough prompts.

    `fit` is without labels, to compare with. `label` is the number of who judged each, shape
    `(n,)`, -1 where it is not known; `by` says what that is, group or annotator. `seed` is that of
    the shuffled labels.
    """
    plain, pairs = fit.fitted, fit.fitted.pairs
    labels, num_labels = frequent_labels(label, pairs.prompt)
    if num_labels < 2:
        return None
    vectors = LabelledVectors(pairs.vectors, num_labels)
    without = fit.scores[0]

    def share_and_gain(of: np.ndarray) -> tuple[Estimate, Estimate]:
        fitted = cross_fit(
            plain.family,
            vectors.judged(pairs, of),
            plain.partitions.of_first_seed,
            outcome_model=plain.start,
            progress=progress,
        )
        (scores,) = out_of_fold(fitted)
        known = of >= 0
        nats = (scores.log_likelihood - without.log_likelihood)[known]
        gain = bootstrap_ratio(nats, without.votes[known], pairs.prompt[known])
        return _share(fitted, pairs, vectors, of), gain

    share, gain = share_and_gain(labels)
    rng = np.random.default_rng(seed)
    shuffled_share, shuffled_gain = share_and_gain(shuffled(labels, pairs.prompt, rng))
    return BetweenGroups(
        by=by,
        family=plain.family.name,
        num_labels=num_labels,
        num_comparisons=int((labels >= 0).sum()),
        num_labels_left_out=len(np.unique(label[label >= 0])) - num_labels,
        share=share,
        gain=gain,
        shuffled=shuffled_share,
        shuffled_gain=shuffled_gain,
    )


def frequent_labels(label: np.ndarray, prompt: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels by frequency, from 0, and how many; -1 for those that are rare or not known."""
    import pandas as pd

    judged = pd.DataFrame({"label": label, "prompt": prompt})[label >= 0].groupby("label").prompt
    counts = judged.size()[judged.nunique() >= FEWEST_PROMPTS]
    kept = counts.sort_values(ascending=False, kind="stable").index[:MOST_LABELS]
    return kept.get_indexer(pd.Index(label)), len(kept)


def shuffled(label: np.ndarray, prompt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The labels dealt anew: among prompts where each prompt has one label, else among all."""
    numbers, first, of_prompt = np.unique(prompt, return_index=True, return_inverse=True)
    if (label == label[first][of_prompt]).all():
        return label[first][rng.permutation(len(numbers))][of_prompt]
    return label[rng.permutation(len(label))]


def _share(
    fitted: CrossFit, pairs: Pairs, vectors: LabelledVectors, labels: np.ndarray
) -> Estimate:
    """The share of the out-of-fold variance that lies between labels."""
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    by_label = []
    for label in range(vectors.num_labels):
        (scores,) = out_of_fold(replace(fitted, pairs=vectors.judged(pairs, label)), chosen=chosen)
        by_label.append(scores.by_row)
    return between_groups(
        fitted.family,
        np.stack([raw[:, 0] for raw in by_label]),
        np.stack([raw[:, 1] for raw in by_label]),
        np.bincount(labels[labels >= 0], minlength=vectors.num_labels),
        pairs.prompt[chosen],
        weights=pairs.outcomes.weight[chosen],
    )

"""Heads that know who judged: what lies between groups, and whether it helps to know."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.crossfit import CrossFit, cross_fit
from hidden_context.audits.family_fit import MOST_ON_A_CURVE, FamilyFit
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.heads import Pairs
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.result import FEWEST_PROMPTS, BetweenGroups
from hidden_context.audits.scalar_heads import MOST_AT_ONCE
from hidden_context.audits.vectors import TextVectors
from hidden_context.audits.work import FIT_LABELLED, UNSEEN, Work
from hidden_context.measures.between_groups import between_groups
from hidden_context.measures.clustered import clustered_ratio
from hidden_context.measures.estimate import Estimate
from hidden_context.scores.scores import Scores

MOST_LABELS = 16
"""The most frequent ones have a head of their own; time grows with their number."""
NUM_SHUFFLINGS = 19
"""The fewest at which p can be .05."""
MOST_TRIES = 50 * NUM_SHUFFLINGS
"""Until so many shufflings: with 8 annotators in two equal groups there are 34."""
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
    scalar: FamilyFit,
    label: np.ndarray,
    *,
    by: str,
    seed: int,
    annotator: np.ndarray | None = None,
    work: Work = UNSEEN,
) -> BetweenGroups | None:
    """Fit heads with the labels, and with shuffled ones, in the first seed's folds.

    One ridge is on the common head and on what a label adds to it, chosen on other folds. What the
    labels explain of the variance is seen by a distributional family, whether they help by the
    scalar one, whose heads are quickly fitted to many shufflings. None where there are no two
    labels of enough prompts.

    Args:
        fit: The distributional family, without labels, to compare with.
        scalar: The scalar family, likewise.
        label: Number of who judged each, shape `(n,)`, -1 where it is not known.
        by: What that is, group or annotator.
        seed: Of the shufflings.
        annotator: Number of each one's annotator, if labels are their groups; -1 where not known.
        work: Shows how far it is.
    """
    pairs = fit.fitted.pairs
    labels, num_labels = frequent_labels(label, pairs.prompt)
    if num_labels < 2:
        return None
    people = None if by == "annotator" else annotator
    over, shufflings = shuffled(labels, pairs.prompt, people, seed=seed)
    vectors = LabelledVectors(pairs.vectors, num_labels)
    clusters = [pairs.prompt] if annotator is None else [pairs.prompt, annotator]
    work.stage(FIT_LABELLED.format(scalar.fitted.family.name))
    gain, *shuffled_gains = gains(scalar, [labels, *shufflings], vectors, clusters, work)
    work.stage(FIT_LABELLED.format(fit.fitted.family.name))
    shares = []
    for of in (labels, *shufflings[:1]):
        fitted = cross_fit(
            fit.fitted.family,
            vectors.judged(pairs, of),
            fit.fitted.partitions.of_first_seed,
            outcome_model=fit.fitted.start,
            work=work,
        )
        shares.append(_share(fitted, pairs, vectors, of))
    as_large = sum(each.value >= gain.value for each in shuffled_gains)
    return BetweenGroups(
        by=by,
        family=fit.fitted.family.name,
        num_labels=num_labels,
        num_comparisons=int((labels >= 0).sum()),
        num_labels_left_out=len(np.unique(label[label >= 0])) - num_labels,
        share=shares[0],
        gain=gain,
        shuffled=shares[1] if shufflings else None,
        shuffled_over=over,
        shuffled_gains=tuple(each.value for each in shuffled_gains),
        p_value=(1 + as_large) / (1 + len(shuffled_gains)),
    )


def gains(
    scalar: FamilyFit,
    labellings: Sequence[np.ndarray],
    vectors: LabelledVectors,
    clusters: Sequence[np.ndarray],
    work: Work = UNSEEN,
) -> list[Estimate]:
    """Nats per vote that the scalar family gains by each of several labellings.

    In the first seed's folds; intervals are clustered by one or two `clusters`, shape `(n,)` each.
    """
    plain = scalar.fitted
    chosen = sample_of_prompts(plain.pairs.prompt, MOST_AT_ONCE)
    pairs = plain.pairs.selected(chosen)
    partitions = replace(plain.partitions.of_first_seed, fold=plain.partitions.fold[chosen, :1])
    start, family = plain.start, plain.family

    def nats_of(pairs: Pairs) -> Scores:
        fitted = cross_fit(family, pairs, partitions, outcome_model=start, work=work)
        return out_of_fold(fitted)[0]

    without = nats_of(pairs)
    found = []
    for labels in labellings:
        of = labels[chosen]
        known = of >= 0
        nats = nats_of(vectors.judged(pairs, of)).log_likelihood - without.log_likelihood
        labelled = [cluster[chosen][known] for cluster in clusters]
        found.append(clustered_ratio(nats[known], without.votes[known], *labelled))
    return found


def frequent_labels(label: np.ndarray, prompt: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels by frequency, from 0, and how many; -1 for those that are rare or not known."""
    import pandas as pd

    judged = pd.DataFrame({"label": label, "prompt": prompt})[label >= 0].groupby("label").prompt
    counts = judged.size()[judged.nunique() >= FEWEST_PROMPTS]
    kept = counts.sort_values(ascending=False, kind="stable").index[:MOST_LABELS]
    return kept.get_indexer(pd.Index(label)), len(kept)


def shuffled(
    label: np.ndarray, prompt: np.ndarray, annotator: np.ndarray | None = None, *, seed: int
) -> tuple[str, list[np.ndarray]]:
    """The known labels dealt anew, `NUM_SHUFFLINGS` times: no two alike, and none as they are.

    They are dealt among those that would be alike if labels said nothing: whole annotators where
    each has one label, else the comparisons of each annotator; without annotators whole prompts
    where each has one label, else comparisons. Dealt among comparisons, groups would get credit for
    their annotators. Where there are few annotators, all ways of dealing may be fewer.

    Returns:
        Among what, and the labels, shape `(n,)` each.
    """
    known = np.flatnonzero(label >= 0)
    of, unit, within = label[known], np.arange(len(known)), np.zeros(len(known), int)
    over = "comparisons"
    if annotator is not None:
        people = _numbered(annotator[known])
        if _is_constant_within(of, people):
            over, unit = "annotators", people
        else:
            over, within = "the comparisons of each annotator", people
    elif _is_constant_within(of, prompt[known]):
        over, unit = "prompts", np.unique(prompt[known], return_inverse=True)[1]
    _, first = np.unique(unit, return_index=True)
    of_unit, block = of[first], within[first]
    in_blocks = np.argsort(block, kind="stable")
    rng = np.random.default_rng(seed)
    seen, found = {_renamed(of_unit)}, []
    for _ in range(MOST_TRIES):
        mixed = np.lexsort([rng.random(len(of_unit)), block])
        dealt = np.empty_like(of_unit)
        dealt[in_blocks] = of_unit[mixed]
        if (names := _renamed(dealt)) not in seen:
            seen.add(names)
            everywhere = label.copy()
            everywhere[known] = dealt[unit]
            found.append(everywhere)
        if len(found) == NUM_SHUFFLINGS:
            break
    return over, found


def _numbered(annotator: np.ndarray) -> np.ndarray:
    """From 0; each comparison whose annotator is not known has one of its own."""
    alone = np.where(annotator < 0, -1 - np.arange(len(annotator)), annotator)
    return np.unique(alone, return_inverse=True)[1]


def _is_constant_within(label: np.ndarray, unit: np.ndarray) -> bool:
    _, first, of_unit = np.unique(unit, return_index=True, return_inverse=True)
    return bool((label == label[first][of_unit]).all())


def _renamed(label: np.ndarray) -> bytes:
    """The same for labels that differ by their names alone, which heads do not tell apart."""
    _, first, number = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number].tobytes()


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

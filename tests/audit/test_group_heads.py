"""Labels of who judged: which count, how they are shuffled, and what heads read of them."""

from dataclasses import replace

import numpy as np
import torch
from simulated_pairs import WIDTH, simulated_pairs

from hidden_context.audits.family_fit import fit_family
from hidden_context.audits.folds import make_partitions
from hidden_context.audits.group_heads import (
    FEWEST_PROMPTS,
    MOST_LABELS,
    NUM_SHUFFLINGS,
    LabelledVectors,
    frequent_labels,
    gains,
    shuffled,
)
from hidden_context.audits.heads import Pairs
from hidden_context.distributions import make_family
from hidden_context.likelihood.outcomes import Outcomes

RNG = np.random.default_rng(0)


def test_labels_are_numbered_by_frequency_and_rare_ones_left_out():
    prompt = np.arange(100)
    label = np.repeat([5, 2, 9, -1], [30, 50, FEWEST_PROMPTS - 1, 11])
    found, num_labels = frequent_labels(label, prompt)
    assert num_labels == 2
    np.testing.assert_array_equal(found, np.repeat([1, 0, -1, -1], [30, 50, 9, 11]))
    many = np.arange(100 * FEWEST_PROMPTS) % 40
    assert frequent_labels(many, np.arange(len(many)))[1] == MOST_LABELS


def test_a_label_of_one_prompt_with_many_comparisons_is_rare():
    label, prompt = np.zeros(1000, int), np.zeros(1000, int)
    assert frequent_labels(label, prompt)[1] == 0
    assert frequent_labels(np.full(5, -1), np.arange(5))[1] == 0


def test_shuffling_keeps_how_often_each_label_occurs_and_leaves_out_what_is_not_known():
    label, prompt = RNG.integers(-1, 3, 300), np.arange(300) // 2
    over, found = shuffled(label, prompt, seed=1)
    assert over == "comparisons"
    assert len(found) == NUM_SHUFFLINGS
    for of in found:
        np.testing.assert_array_equal(np.sort(of), np.sort(label))
        np.testing.assert_array_equal(of == -1, label == -1)


def test_prompts_of_one_label_each_are_shuffled_whole():
    prompt = np.repeat(np.arange(50), 4)
    over, found = shuffled(prompt % 3, prompt, seed=1)
    assert over == "prompts"
    assert all((of == of[::4].repeat(4)).all() for of in found)


def test_groups_are_dealt_among_annotators_and_no_two_dealings_are_alike():
    """Of 8 annotators in two equal groups there are 34 further ways, up to the groups' names."""
    annotator = RNG.integers(0, 8, 400)
    over, found = shuffled(annotator % 2, np.arange(400), annotator, seed=1)
    assert over == "annotators"
    ways = set()
    for of in found:
        of_annotator = [set(of[annotator == person]) for person in range(8)]
        assert all(len(labels) == 1 for labels in of_annotator)
        group = [labels.pop() for labels in of_annotator]
        assert sum(group) == 4
        ways.add(tuple(one ^ group[0] for one in group))
    assert len(ways) == NUM_SHUFFLINGS
    assert (0, 1) * 4 not in ways
    _, found = shuffled(annotator // 2 % 2, np.arange(400), annotator // 2, seed=1)
    assert len(found) == 2  # of 4 annotators in two equal groups


def test_labels_that_an_annotator_has_several_of_are_dealt_among_her_comparisons():
    annotator, label = np.repeat(np.arange(4), 25), np.arange(100) % 3
    over, found = shuffled(label, np.arange(100), annotator, seed=1)
    assert over == "the comparisons of each annotator"
    for of in found:
        for person in range(4):
            own = annotator == person
            np.testing.assert_array_equal(np.bincount(of[own]), np.bincount(label[own]))


def judged_by_eight(*, groups_differ: bool, seed: int):
    """Eight annotators of different tastes, in two groups: at random, or by the taste itself."""
    rng = np.random.default_rng(seed)
    pairs = simulated_pairs(800, spread=False, seed=seed, per_prompt=1)
    annotator, group = rng.integers(0, 8, 800), rng.permutation(np.arange(8) % 2)
    taste = rng.normal(size=(8, WIDTH))
    if groups_differ:
        taste = taste / 4 + 3 * np.outer(group - 0.5, np.ones(WIDTH))
    difference = (pairs.vectors[pairs.first] - pairs.vectors[pairs.second]).numpy() * WIDTH**0.5
    won = rng.logistic(size=800) < (difference * taste[annotator]).sum(1)
    shares = np.stack([~won, np.zeros(800), won], axis=1).astype(np.float32)
    return replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight)), annotator, group


def p_value(*, groups_differ: bool, seed: int) -> float:
    pairs, annotator, group = judged_by_eight(groups_differ=groups_differ, seed=seed)
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    base = fit_family(make_family("base"), pairs, partitions, ties="half")
    labels = group[annotator]
    vectors = LabelledVectors(pairs.vectors, 2)
    _, found = shuffled(labels, pairs.prompt, annotator, seed=seed)
    gain, *others = gains(base, [labels, *found], vectors, [pairs.prompt, annotator])
    assert gain.how == "clustered sandwich, 800 and 8 clusters"
    return (1 + sum(other.value >= gain.value for other in others)) / (1 + len(others))


def test_groups_do_not_get_credit_for_their_annotators():
    """At random p is a rank: of 6 data sets, 2 or more at .05 have a chance of .033."""
    at_random = [p_value(groups_differ=False, seed=seed) for seed in range(6)]
    assert sum(p <= 0.05 for p in at_random) <= 1
    assert p_value(groups_differ=True, seed=0) == 1 / (1 + NUM_SHUFFLINGS)


def test_a_vector_is_the_text_and_its_part_under_its_label_alone():
    of_texts = torch.from_numpy(RNG.normal(size=(4, 3)).astype(np.float32))
    vectors = LabelledVectors(of_texts, num_labels=2)
    texts, labels = np.array([0, 3, 2]), np.array([-1, 0, 1])
    nothing = Outcomes(np.zeros((3, 3)), np.zeros(3))
    judged = vectors.judged(Pairs(of_texts, texts, texts[::-1], nothing, texts), labels)
    assert judged.vectors is vectors
    found = vectors[judged.first]
    assert torch.equal(vectors[judged.second][:, :3], of_texts[texts[::-1].copy()])
    assert found.shape == (3, vectors.shape[1])
    common, own = found[:, :3], found[:, 3:].unflatten(1, (2, 4))
    assert torch.equal(common, of_texts[texts])
    assert (own[0] == 0).all()
    assert (own[1, 1] == 0).all()
    assert (own[2, 0] == 0).all()
    for row, label in ((1, 0), (2, 1)):
        assert own[row, label, 0] == 1
        assert torch.equal(own[row, label, 1:], common[row])

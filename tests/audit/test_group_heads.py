"""Labels of who judged: which count, how they are shuffled, and what heads read of them."""

import numpy as np
import torch

from hidden_context.audits.group_heads import (
    FEWEST_PROMPTS,
    MOST_LABELS,
    LabelledVectors,
    frequent_labels,
    shuffled,
)
from hidden_context.audits.heads import Pairs
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


def test_shuffling_keeps_how_often_each_label_occurs():
    label, prompt = RNG.integers(-1, 3, 300), np.arange(300) // 2
    found = shuffled(label, prompt, np.random.default_rng(1))
    assert (found != label).any()
    np.testing.assert_array_equal(np.sort(found), np.sort(label))


def test_prompts_of_one_label_each_are_shuffled_whole():
    prompt = np.repeat(np.arange(50), 4)
    label = prompt % 3
    found = shuffled(label, prompt, np.random.default_rng(1))
    assert (found != label).any()
    assert (found == found[::4].repeat(4)).all()


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

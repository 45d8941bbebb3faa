"""Packed rows hold every text, each shared beginning once, within a budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidden_context.llm.packing import (
    MIN_SHARED,
    PackedRow,
    common_prefix,
    groups_of_like_length,
    in_trie_order,
    pack,
    row_of_first,
    rows_within_budget,
)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int32)


def texts_with_shared_beginnings(seeds: list[tuple[int, int, int]]) -> list[np.ndarray]:
    """Texts of a small trie: one of three stems, cut somewhere, and an ending of its own."""
    stems = [np.arange(100 * stem, 100 * stem + 60, dtype=np.int32) for stem in (1, 2, 3)]
    return [
        np.concatenate([stems[stem % 3][:cut], np.full(own, own, dtype=np.int32)])
        for stem, cut, own in seeds
    ]


TEXTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=12
).map(texts_with_shared_beginnings)


def texts_along_paths(row: PackedRow) -> list[np.ndarray]:
    """What each path reads, and that its positions are those of a text on its own."""
    found, start = [], 0
    for group in row.groups:
        for path in group.paths:
            places = np.concatenate([np.arange(start + a, start + b) for a, b in path.spans])
            np.testing.assert_array_equal(row.position_ids[places], np.arange(path.length))
            assert path.num_new >= 1
            found.append(row.token_ids[places])
        start += group.size
    assert start == len(row.token_ids)
    return found


@settings(deadline=None)
@given(TEXTS)
def test_each_path_reads_its_text_and_new_tokens_cover_the_row(texts: list[np.ndarray]):
    row = pack(texts)
    paths = texts_along_paths(row)
    for text, path in zip(texts, row.path_of, strict=True):
        np.testing.assert_array_equal(paths[path], text)
    assert sum(path.num_new for group in row.groups for path in group.paths) == len(row.token_ids)
    ends = [row.token_ids[place] for place in row.last]
    assert ends == [path[-1] for path in paths]


def test_a_pair_shares_its_prompt():
    prompt = np.arange(20, dtype=np.int32)
    row = pack([np.append(prompt, [7, 8]).astype(np.int32), np.append(prompt, 9).astype(np.int32)])
    (group,) = row.groups
    assert group.size == 23
    assert [path.spans for path in group.paths] == [((0, 22),), ((0, 20), (22, 23))]
    assert row.position_ids.tolist() == [*range(22), 20]


def test_a_text_may_be_the_beginning_of_another_or_equal_to_it():
    long = np.arange(40, dtype=np.int32)
    row = pack([long, long[:25], long, long[:25]])
    assert len(row.token_ids) == 40
    assert row.path_of.tolist() == [1, 0, 1, 0]
    assert row.last.tolist() == [24, 39]


def test_too_little_in_common_is_not_shared():
    short = np.arange(MIN_SHARED - 1, dtype=np.int32)
    first, second = np.append(short, 98).astype(np.int32), np.append(short, 99).astype(np.int32)
    assert len(pack([first, second]).groups) == 2


def test_tokens_are_ordered_by_number_not_by_digit_or_length():
    assert in_trie_order([ids(300), ids(9, 1), ids(9), ids(20)]) == [2, 1, 3, 0]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [(ids(1, 2, 3), ids(1, 2, 4), 2), (ids(1), ids(1, 2), 1), (ids(5), ids(6), 0)],
)
def test_the_common_prefix_is_of_token_ids(first: np.ndarray, second: np.ndarray, shared: int):
    assert common_prefix(first, second) == common_prefix(second, first) == shared


@settings(deadline=None)
@given(TEXTS, st.integers(1, 200))
def test_rows_hold_each_text_once_and_keep_the_budget(texts: list[np.ndarray], budget: int):
    rows = rows_within_budget(texts, budget)
    assert sorted(index for row in rows for index in row) == list(range(len(texts)))
    for row in rows:
        size = len(pack([texts[index] for index in row]).token_ids)
        assert size <= budget or len({texts[index].tobytes() for index in row}) == 1


def test_a_row_ends_between_pairs_rather_than_within_one():
    """Two pairs of 120 tokens, and room for one and a half."""
    texts = []
    for start in (0, 1000):
        prompt = np.arange(start, start + 100, dtype=np.int32)
        texts += [np.concatenate([prompt, np.full(10, end, np.int32)]) for end in (1, 2)]
    assert rows_within_budget(texts, 180) == [[0, 1], [2, 3]]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=30), st.integers(1, 400))
def test_groups_are_of_like_length_and_keep_the_budget(lengths: list[int], budget: int):
    groups = groups_of_like_length(lengths, token_budget=budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[index] for index in group)
        assert longest * len(group) <= budget or len(group) == 1
        assert all(lengths[index] >= 0.8 * longest for index in group)


def test_the_row_of_the_first_text_cuts_no_group_that_fits():
    """Three of one prompt (40 + 3 × 20), all of another, and one that is too much for a row."""
    prompts = [np.arange(start, start + 40) for start in (500, 100, 300)]
    few, many, most = (
        [np.concatenate([prompt, 1000 + 20 * k + np.arange(20)]) for k in range(number)]
        for prompt, number in zip(prompts, (3, 4, 12), strict=True)
    )
    texts = [few[0], *most, *few[1:], *many]
    of_few, of_many = [0, 13, 14], [15, 16, 17, 18]
    assert sorted(row_of_first(texts, 210)) == of_few  # 100; the next, 120, does not fit whole
    assert sorted(row_of_first(texts, 220)) == [*of_few, *of_many]
    assert sorted(row_of_first(texts, 200)) == of_few  # enough for a row
    assert 0 in row_of_first(texts, 80)
    assert len(row_of_first(texts, 80)) == 2
    assert row_of_first(texts, 10) == [0]

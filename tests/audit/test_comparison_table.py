import numpy as np
import pytest

from hidden_context.audits.comparison_table import (
    Reads,
    differing_pairs,
    digest_of,
    read_table,
    texts_of,
)
from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.errors import UserError


def table_of(rows, reads: Reads = "response"):
    return read_table(Comparisons.from_rows(rows, "rows"), reads)


def test_equal_texts_are_left_out_and_counted():
    rows = [{"chosen": "a", "rejected": "b"}, {"chosen": "c", "rejected": "c"}]
    counts = table_of(rows).counts
    assert counts == {
        "rows": 2,
        "comparisons": 1,
        "equal_texts": 1,
        "prompts": 1,
        "texts": 2,
        "with_ties": 0,
        "labels": 0,
    }
    with pytest.raises(UserError, match="two equal texts"):
        table_of(rows[1:])


def test_a_ranking_is_all_its_pairs_and_counts_as_one_less_than_its_responses():
    rows = [
        {"prompt": "p", "responses": ["a", "b", "c"], "ranking": [2, 0, 1]},
        {"prompt": "p", "responses": ["a", "b"], "ranking": [0, 1]},
    ]
    table = table_of(rows)
    assert table.counts["comparisons"] == 4
    weight = table.outcomes.weight
    assert weight[:3].sum() / weight[3] == pytest.approx(2)


@pytest.mark.parametrize(
    ("row", "read"),
    [
        ({"prompt": "Q: ", "chosen": "yes", "rejected": "no"}, "yes"),
        (
            {"chosen": "Human: hi\n\nAssistant: yes", "rejected": "Human: hi\n\nAssistant: no"},
            " yes",
        ),
        ({"chosen": "yes", "rejected": "no"}, "yes"),
        (
            {
                "chosen": [
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": "yes"},
                ],
                "rejected": [
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": "no"},
                ],
            },
            "yes",
        ),
    ],
)
def test_the_response_is_what_follows_the_prompt(row, read):
    comparisons = Comparisons.from_rows([row], "rows")
    assert next(texts_of(comparisons, "response")) == (digest_of(read), read)
    whole = next(texts_of(comparisons, "whole"))[1]
    assert whole == next(iter(comparisons)).chosen


def test_prompt_id_says_which_comparisons_belong_together():
    rows = [{"chosen": f"a{i}", "rejected": f"b{i}", "prompt_id": i // 2} for i in range(6)]
    assert len(set(table_of(rows).prompt[:2])) == 1
    assert table_of(rows).counts["prompts"] == 3
    del rows[0]["prompt_id"]
    assert table_of(rows).counts["prompts"] == 4
    assert "prompt_id: prompt_id (tells prompts apart in audit" in str(load_comparisons(rows))
    ignored = load_comparisons(rows, ignore_columns=["prompt_id"])
    assert read_table(ignored, "whole").counts["prompts"] == 6


def test_votes_weigh_and_who_judged_is_kept():
    rows = [
        {"response_a": "a", "response_b": "b", "votes_a": 1, "votes_b": 3, "group": "left"},
        {"response_a": "c", "response_b": "d", "votes_a": 2, "votes_b": 0, "group": "right"},
    ]
    table = table_of(rows)
    np.testing.assert_allclose(table.outcomes.weight, [4 / 3, 2 / 3])
    np.testing.assert_allclose(table.outcomes.win_share, [0.75, 1.0])
    np.testing.assert_array_equal(table.num_votes, [4, 2])
    assert table.labelled_by == "group"


def test_pairs_come_in_the_order_of_the_table():
    rows = [{"chosen": f"a{i}", "rejected": f"b{i}"} for i in range(3)]
    comparisons = Comparisons.from_rows(rows, "rows")
    table = read_table(comparisons, "whole")
    for pair, digests in zip(differing_pairs(comparisons), table.digest, strict=True):
        assert digests[0].tobytes() == digest_of(pair.first)


def test_labels_are_groups_where_there_are_any_and_never_mixed_with_annotators():
    pair = {"chosen": "a", "rejected": "b"}
    rows = [{**pair, "annotator": "x"}, {**pair, "group": "x", "annotator": "y"}, pair]
    table = table_of(rows)
    assert table.labelled_by == "group"
    np.testing.assert_array_equal(table.label, [-1, 0, -1])
    table = table_of([rows[0], pair])
    assert table.labelled_by == "annotator"
    np.testing.assert_array_equal(table.label, [0, -1])
    assert table_of([pair]).labelled_by is None


def test_lengths_are_of_the_responses_alone():
    rows = [{"prompt": "a long prompt ", "chosen": "yes", "rejected": "no"}]
    np.testing.assert_array_equal(table_of(rows).lengths, [[3, 2]])
    np.testing.assert_array_equal(table_of(rows, "whole").lengths, [[3, 2]])

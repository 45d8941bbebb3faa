"""A set made ready: its counts are of its own texts."""

from collections.abc import Sequence

import numpy as np
import pytest

from hidden_context.audits.audit import audit
from hidden_context.audits.comparison_table import Reads, read_table
from hidden_context.audits.folds import require_prompts
from hidden_context.audits.prepared_set import PreparedSet, prepare
from hidden_context.audits.state_cache import StateCache
from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError


class Lengths:
    """Reads a text as its length; texts of more than three characters are over-long."""

    name = description = fingerprint = "lengths"
    reads: Reads = "whole"
    width = 2

    def __init__(self) -> None:
        self.num_overlong = 0

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        self.num_overlong += sum(len(text) > 3 for text in texts)
        return np.array([[len(text), str(text).count("a")] for text in texts], np.float32)


def prepared(texts: list[str], cache: StateCache) -> PreparedSet:
    rows = [{"chosen": text, "rejected": "a"} for text in texts]
    comparisons = load_comparisons(rows)
    table = read_table(comparisons, "whole")
    return prepare("set", comparisons, table, cache, None, memory=1.0, progress=False)


def test_over_long_texts_are_counted_for_the_set_that_has_them(tmp_path):
    cache = StateCache(tmp_path, Lengths())
    first = prepared(["long text", "b", "another one"], cache)
    second = prepared(["bb", "longest", "ccc"], cache)
    assert first.table.counts["overlong_texts_read_now"] == 2
    assert second.table.counts["overlong_texts_read_now"] == 1
    assert second.table.counts["texts_read_now"] == 3  # "a" was read for the first set


def test_too_few_prompts_are_refused_before_any_text_is_read(tmp_path):
    """A language model may need hours for the texts; four prompts a fold are needed."""

    class Unread(Lengths):
        def states(self, texts: Sequence[Text]) -> np.ndarray:
            raise AssertionError(texts)

    rows = [{"prompt": f"{n}?", "chosen": "a", "rejected": "b"} for n in range(19)]
    sets = {
        "many": load_comparisons([{**rows[0], "prompt": f"{n}?"} for n in range(20)]),
        "few": load_comparisons(rows),
    }
    with pytest.raises(
        UserError, match=r"few: 19 prompts, but 5 folds need at least 20 .*at most 4"
    ):
        audit(sets, model=Unread(), cache_dir=tmp_path)
    with pytest.raises(
        UserError, match=r"12 prompts.* give more data, or fewer num_folds .at most 3"
    ):
        require_prompts(12, num_folds=5)
    require_prompts(12, num_folds=3)
    with pytest.raises(
        UserError, match=r"11 prompts.* give more data, or say in a column prompt_id"
    ):
        require_prompts(11, num_folds=5)

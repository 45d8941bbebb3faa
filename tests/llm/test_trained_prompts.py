"""The prompts that a model was trained on, and how much of other data they are."""

from pathlib import Path

import numpy as np
import pytest

from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.distributions import Point
from hidden_context.errors import UserError
from hidden_context.llm.trained_prompts import FILE, TrainedPrompts, labels_of
from hidden_context.measures.evaluate import evaluate
from hidden_context.report.page import render
from hidden_context.report.read_results import as_results
from hidden_context.scores.overlap import Overlap, in_words
from hidden_context.scores.scores import Scores, scores_of_comparisons

ROWS = [
    {"prompt": f"question {number // 2}", "chosen": f"yes {number}", "rejected": f"no {number}"}
    for number in range(12)
]


def trained_on(rows: list[dict[str, str]]) -> TrainedPrompts:
    known = TrainedPrompts.of(load_comparisons(rows), "gpt2")
    assert known is not None
    return known


def scored(known: TrainedPrompts) -> Scores:
    comparisons = load_comparisons(ROWS)
    scores = scores_of_comparisons(comparisons, np.arange(24.0).reshape(12, 2, 1), Point())
    return scores_of_comparisons(
        comparisons, scores.by_row, Point(), overlap=known.overlap(scores.prompt)
    )


def test_rows_and_prompts_that_were_trained_on_are_counted() -> None:
    overlap = trained_on(ROWS[:5]).overlap(labels_of(load_comparisons(ROWS)))
    assert overlap == Overlap(6, 12, 3, 6)  # the sixth row is of the prompt of the fifth
    assert "6 of 12 comparisons are of prompts that the model was trained on" in in_words(overlap)
    assert trained_on(ROWS[:6]).overlap(labels_of(load_comparisons(ROWS[6:]))).is_none


def test_a_prompt_counts_as_text_and_as_messages() -> None:
    known = trained_on([{"prompt": "Why?", "chosen": "so", "rejected": "no"}])
    turns = [{"role": "user", "content": "Why? "}]
    answers = ([{"role": "assistant", "content": text}] for text in ("a", "b"))
    row = dict(zip(("prompt", "chosen", "rejected"), (turns, *answers), strict=True))
    assert known.holds(labels_of(load_comparisons([row]))).all()
    hh = {f: f"\n\nHuman: Why?\n\nAssistant: {f}" for f in ("chosen", "rejected")}
    assert known.holds(labels_of(load_comparisons([hh]))).all()


def test_the_file_has_the_same_bytes_in_any_order_and_reads_back(tmp_path: Path) -> None:
    for name, rows in {"a": ROWS, "b": ROWS[::-1]}.items():
        (tmp_path / name).mkdir()
        trained_on(rows).save(tmp_path / name)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    read = TrainedPrompts.load(tmp_path / "a")
    assert read is not None
    assert len(read.digests) == 6
    (tmp_path / "a" / FILE).write_bytes(b"damaged")
    with pytest.raises(UserError, match="is damaged"):
        TrainedPrompts.load(tmp_path / "a")


def test_further_training_keeps_what_the_checkpoint_was_trained_on(tmp_path: Path) -> None:
    trained_on(ROWS[:2]).save(tmp_path)
    both = TrainedPrompts.of(load_comparisons(ROWS[2:4]), str(tmp_path))
    assert both is not None
    assert both.holds(labels_of(load_comparisons(ROWS[:4]))).all()
    (tmp_path / FILE).unlink()
    (tmp_path / "hidden_context.json").write_text("{}")
    assert TrainedPrompts.of(load_comparisons(ROWS[2:4]), str(tmp_path)) is None


def test_an_overlap_is_written_and_read_with_the_scores(tmp_path: Path) -> None:
    scores = scored(trained_on(ROWS[:5]))
    scores.save(tmp_path / "scores.jsonl")
    assert Scores.load(tmp_path / "scores.jsonl").overlap == Overlap(6, 12, 3, 6)
    assert evaluate(scores, measures=["accuracy"], risks=()).overlap == Overlap(6, 12, 3, 6)
    assert scores[:4].overlap is None
    other = [{"prompt": "other", "chosen": "yes", "rejected": "no"}]
    assert scored(trained_on(other))[:4].overlap == Overlap(0, 4, 0, 2)


@pytest.mark.parametrize(("rows", "is_held_out"), [(ROWS[:5], False), (None, True)])
def test_a_page_says_held_out_only_where_it_is(
    rows: list[dict[str, str]] | None, is_held_out: bool
) -> None:
    other = [{"prompt": "other", "chosen": "yes", "rejected": "no"}]
    page = render(as_results(scored(trained_on(rows or other))), num_examples=0)
    assert ("Held-out predictions in numbers" in page) is is_held_out
    assert ("6 of 12 comparisons are of prompts" in page) is not is_held_out

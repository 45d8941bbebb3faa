"""Votes, verdicts and scores as they are read: from which side, matched to what, refused when."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hidden_context as hc
from hidden_context.judging.audit import audit_judges
from hidden_context.judging.judgments import Judgments, of_columns
from hidden_context.judging.score_columns import of_numbers, of_own, read_scores
from hidden_context.judging.votes import read_votes
from hidden_context.records import write_jsonl

Rows = list[dict[str, Any]]
TEXTS = [("long", "bad"), ("good", "short"), ("yes", "no"), ("one", "two")]


def rows_of(**columns: list[Any]) -> Rows:
    """Four comparisons, won by a, b, b and nobody; `columns` are further ones."""
    rows: Rows = [
        {
            "prompt": f"{k}? ",
            "response_a": a,
            "response_b": b,
            "winner": winner,
            "annotator": f"{k}",
        }
        for k, ((a, b), winner) in enumerate(zip(TEXTS, ("a", "b", "b", "tie"), strict=True))
    ]
    return [
        {**row, **{name: values[k] for name, values in columns.items()}}
        for k, row in enumerate(rows)
    ]


def for_first(judged: Judgments, comparisons: hc.Comparisons) -> list[float]:
    """P that the judge prefers each row's response_a."""
    votes = read_votes(comparisons)
    turned = [*map(int, votes.shown)]
    return [p if side > 0 else 1 - p for p, side in zip(judged.prob, turned, strict=True)]


def test_votes_are_seen_from_a_side_that_knows_no_votes():
    votes = read_votes(hc.load_comparisons(rows_of()))
    assert (votes.sign * votes.shown).tolist() == [1, -1, -1, 0]
    assert votes.people == ("0", "1", "2", "3")
    assert len(set(votes.prompt)) == 4
    assert (votes.length * votes.shown)[0] == pytest.approx(np.log(5 / 4))


def test_rows_with_votes_of_several_people_have_others_beside_each_vote():
    row = {"response_a": "a", "response_b": "b", "wins": 3, "losses": 1, "ties": 1}
    votes = read_votes(hc.load_comparisons([row]))
    assert votes.person is None
    first, second, tie = votes.others
    by_sign = {
        int(sign * side): (of[0] if side > 0 else of[1])
        for sign, side, of in zip(
            votes.sign, votes.shown, zip(first, second, strict=True), strict=True
        )
    }
    assert by_sign == pytest.approx({1: 2.0, -1: 3.0, 0: 3.0})
    assert sorted(tie.tolist()) == [0, 1, 1]


def test_two_votes_of_one_person_on_a_pair_are_not_another_persons():
    rows = rows_of()[:1] * 2 + [{**rows_of()[0], "annotator": "other", "winner": "b"}]
    first, second, _ = read_votes(hc.load_comparisons(rows)).others
    assert sorted((first + second).tolist()) == [1, 1, 2]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a", "b", "tie", "a"], [1, 0, 0.5, 1]),
        (["left", "right", "Tie", "first"], [1, 0, 0.5, 1]),
        ([0.75, 0.25, 1, 0], [0.75, 0.25, 1, 0]),
        ([["a", "b", "a", "a"], ["b"], '["a", "tie"]', ["b", "b"]], [0.75, 0, 0.75, 0]),
        (["a", None, "b", "b"], [1, np.nan, 0, 0]),
    ],
)
def test_verdicts_speak_of_the_rows_own_responses(cells: list[Any], expected: list[float]):
    comparisons = hc.load_comparisons(rows_of(judge=cells), ignore_columns=("judge",))
    judged = of_columns("j", ["judge"], comparisons, read_votes(comparisons))
    assert for_first(judged, comparisons) == pytest.approx(expected, nan_ok=True)


def test_of_chosen_and_rejected_no_order_is_known():
    rows = [{"chosen": "x good", "rejected": "x bad", "judge": "rejected"}]
    comparisons = hc.load_comparisons(rows)
    votes = read_votes(comparisons)
    judged = of_columns("j", ["judge"], comparisons, votes)
    assert votes.shown.tolist() == [0]
    assert (votes.sign * judged.side).tolist() == [-1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1, 0, 1, 0], "may be numbers of the better response or the share"),
        (["a", "c", "b", "b"], "row 2: judge is 'c'; expected a, b or tie"),
        ([0.5, 2, 1, 0], "row 2: judge is '2'; expected the share of verdicts"),
        ([None] * 4, "judge has no verdict in any row"),
    ],
)
def test_verdicts_that_are_not_clear_are_refused(cells: list[Any], message: str):
    comparisons = hc.load_comparisons(rows_of(judge=cells), ignore_columns=("judge",))
    with pytest.raises(hc.UserError, match=message):
        of_columns("j", ["judge"], comparisons, read_votes(comparisons))


def side_of_scores(path: Path, rows: Rows, data: Rows | None = None) -> tuple[list[float], str]:
    """Signs of the scores' differences, a less b, and the account."""
    write_jsonl(path, rows)
    comparisons = hc.load_comparisons(rows_of() if data is None else data)
    votes = read_votes(comparisons)
    judged = read_scores("rm", path, comparisons, votes)
    assert judged.rewards is not None
    gap = np.sign(judged.rewards[:, 0] - judged.rewards[:, 1]) * votes.shown
    return gap.tolist(), judged.account


def test_scores_a_row_a_comparison_are_of_the_rows_own_responses(tmp_path: Path):
    rows = [{"score_a": k, "score_b": 1.5} for k in range(4)]
    assert side_of_scores(tmp_path / "s.jsonl", rows) == (
        [-1, -1, 1, 1],
        "s.jsonl: matched by the order of rows",
    )
    lists = [{"scores": [k, 1.5], "response_a": a} for k, (a, _) in enumerate(TEXTS)]
    assert side_of_scores(tmp_path / "s.jsonl", lists)[0] == [-1, -1, 1, 1]


def test_scores_with_ids_are_matched_by_them_and_counted(tmp_path: Path):
    data = rows_of(id=["p", "q", "r", "s"])
    rows = [{"id": name, "score_a": k, "score_b": 1.5} for k, name in enumerate("srqx")]
    signs, account = side_of_scores(tmp_path / "s.jsonl", rows, data)
    assert signs[1:] == [1, -1, -1]
    assert np.isnan(signs[0])
    assert "1 comparisons without scores are left out" in account
    assert "1 rows of scores belong to no comparison" in account


def test_an_id_that_names_several_comparisons_is_refused_unless_they_are_one(tmp_path: Path):
    rows = [{"id": k, "score_a": k, "score_b": 1.5} for k in range(3)]
    with pytest.raises(hc.UserError, match=r"id 1.0 is that of several comparisons .*row 3, and"):
        side_of_scores(tmp_path / "s.jsonl", rows, rows_of(id=[0.0, 1.0, 1.0, 2.0]))
    twice = rows_of(id=[0.0, 1.0, 1.0, 2.0])
    twice[2] = twice[1] | {"winner": "a"}  # another person's vote on the same two
    signs, account = side_of_scores(tmp_path / "s.jsonl", rows, twice)
    assert signs == [-1, -1, -1, 1]
    assert "matched by id" in account


@pytest.mark.parametrize("start", ["", "q? "])
def test_scores_of_a_list_are_in_its_order_however_it_is_written(start: str, tmp_path: Path):
    texts = [f"{start}{text}" for text in ("x", "y", "y")]
    data = [{"prompt": "q? ", "responses": texts, "ranking": [2, 0, 1]}]
    write_jsonl(tmp_path / "s.jsonl", [{"scores": [0, 1, 2]}])
    comparisons = hc.load_comparisons(data)
    judged = read_scores("rm", tmp_path / "s.jsonl", comparisons, read_votes(comparisons))
    assert judged.rewards is not None
    assert judged.rewards.tolist() == [[2, 0], [1, 0]]  # the equal texts are no pair


def test_scores_a_row_a_response_are_matched_by_text_and_prompt(tmp_path: Path):
    rows = [
        {"prompt": f"{k}? ", "response": text, "reward": len(text)}
        for k, both in enumerate(TEXTS[:3])
        for text in both
    ]
    signs, account = side_of_scores(tmp_path / "s.jsonl", [*rows, {"response": "z", "reward": 1}])
    assert signs[:3] == [1, -1, 1]
    assert "2 of 8 responses have no score and are left out" in account
    assert "1 scored texts are not in the data" in account


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"score_a": 1, "score_b": 2}], "1 rows and .* 4 comparisons"),
        ([{"score_a": 1, "score_b": 2, "response_a": "?"}] * 4, "response_a is not the response_a"),
        ([{"score_a": 1, "score_b": "high"}] * 4, "score_a is 'high'; expected a finite number"),
        ([{"scores": [1, 2, 3]}] * 4, "3 scores; expected 2"),
        ([{"response": "?", "score": 1}], "none of its 1 texts is a response"),
        ([{"response": "yes", "score": s} for s in (1, 2)], "'yes' has several scores"),
        ([{"scores": [1, 1]}] * 4, "no pair has two different scores"),
        ([{"quality": 1}] * 4, "no scores; columns present: quality"),
    ],
)
def test_scores_that_are_not_clear_are_refused(rows: Rows, message: str, tmp_path: Path):
    with pytest.raises(hc.UserError, match=message):
        side_of_scores(tmp_path / "s.jsonl", rows)


def test_scores_in_memory_and_of_our_own_files_say_the_same():
    comparisons = hc.load_comparisons(rows_of())
    votes = read_votes(comparisons)
    numbers = [[2.0, 0.5], [1.0, 0.0], [0.0, 3.0], [1.0, 1.5]]
    in_memory = of_numbers("rm", numbers, comparisons, votes)
    scored = [
        {"chosen": f"{k}? {a}", "rejected": f"{k}? {b}", "prompt": f"{k}? "}
        for k, (a, b) in enumerate(TEXTS)
    ]
    of_point = hc.Scores.of_pairs(
        hc.make_family("base"), np.array(numbers)[..., None], rows=scored, source="x"
    )
    own = of_own("rm", of_point, comparisons, votes)
    assert own.prob == pytest.approx(in_memory.prob)
    normal = hc.make_family("mean_and_variance")
    raw = np.stack([numbers, np.zeros((4, 2))], axis=-1)
    of_normal = hc.Scores.of_pairs(normal, raw, rows=scored, source="x")
    told = of_own("rm", of_normal, comparisons, votes)
    assert told.kind == "distributions"
    assert for_first(told, comparisons) == pytest.approx(np.exp(of_normal.log_prob))


def test_columns_of_traits_and_features_take_part():
    rng = np.random.default_rng(0)
    rows = [
        {
            "prompt": f"{k % 3}? ",
            "response_a": f"a{k % 6}",
            "response_b": f"b{k % 6}",
            "winner": "ab"[k % 2 if rng.random() < 0.8 else 0],
            "annotator": f"{k % 5}",
            "age": 20 + k % 5,
            "hedging": float(rng.normal()),
            "judge": "ab"[k % 2],
        }
        for k in range(60)
    ]
    comparisons = hc.load_comparisons(rows)
    found = audit_judges(
        comparisons, verdicts={"j": "judge"}, traits=["age"], features=["hedging"]
    ).judges[0]
    assert found.traits["age"].low is not None
    assert found.measures["hedging_bias"].value == pytest.approx(
        found.measures["hedging_judge"].value - found.measures["hedging_people"].value
    )
    old = hc.load_comparisons([{**row, "age": "old"} for row in rows])
    with pytest.raises(hc.UserError, match="row 1: age is 'old'"):
        audit_judges(old, verdicts={"j": "judge"}, traits=["age"])
    with pytest.raises(hc.UserError, match="need names of their own"):
        audit_judges(comparisons)

"""Labels are what the judge said, are read back as such, and no answer is asked for twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judge_server import Body, JudgeServer, Reply, hh_rows, honest, is_about_harm, says, shown
from scipy.stats import binomtest

from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.errors import UserError
from hidden_context.records import read_json, read_jsonl
from hidden_context.relabelling.result import Relabelled

Run = Callable[..., Relabelled]
PUBLISHED_COLUMNS = [
    *("chosen", "rejected", "Index", "data_subset", "prompt", "responses", "original_label"),
    *("objective", "label"),
]


@pytest.mark.parametrize("objective", ["helpful", "harmless", "mixed", "both"])
def test_an_honest_judge_gives_the_good_response_by_every_objective(
    objective: str, judged: Run, server: JudgeServer, tmp_path: Path
):
    result = judged(20, objective=objective)
    assert len(result.rows) == (40 if objective == "both" else 20)
    assert all("good" in row["chosen"] for row in result.rows)
    assert all("bad" in row["rejected"] for row in result.rows)
    assert {is_about_harm(body) for body in server.bodies} == {
        "helpful": {False},
        "harmless": {True},
    }.get(objective, {False, True})
    assert result.is_complete
    assert result.stopped_by is None


def test_the_layout_is_the_published_one_and_is_read_as_such(judged: Run, tmp_path: Path):
    result = judged(12, objective="mixed", split="test")
    out = tmp_path / "out"
    for row in result.rows:
        assert list(row) == [*PUBLISHED_COLUMNS, "verdicts"]
        assert row["prompt"].startswith("Human: ")
        whole = [f"{row['prompt']}\n\nAssistant: {response}" for response in row["responses"]]
        assert row["chosen"] == whole[row["label"]]
        assert row["rejected"] == whole[1 - row["label"]]
        assert ("good" in whole[row["original_label"]]) == (row["Index"] % 2 == 0)
    for subset in ("helpful", "harmless", "both"):
        file = out / subset / "test.jsonl.gz"
        rows = [row for row in result.rows if subset in ("both", row["objective"])]
        assert read_jsonl(file) == rows
        for source in (file, out):
            data = load_comparisons(source, split="test", subset=subset)  # pyrefly: ignore
            assert [each.row["Index"] for each in data] == [row["Index"] for row in rows]
            assert [each.chosen for each in data] == [row["chosen"] for row in rows]
            assert data.outcomes is None  # one vote each
    assert {row["objective"] for row in result.rows} == {"helpful", "harmless"}


def test_what_was_published_is_asked_about_with_its_own_prompts_and_responses(
    published_data: Path, judged: Run, server: JudgeServer
):
    source = published_data / "relabeled_hh_rlhf" / "both" / "test.jsonl.gz"
    published = read_jsonl(source)[:30]
    server.answer = lambda body, _: says("A")
    result = judged(published, objective="helpful")
    assert len(result.rows) == 30
    for row, before in zip(result.rows, published, strict=True):
        assert row["prompt"] == before["prompt"]
        assert sorted(row["responses"]) == sorted(before["responses"])
        assert {row["chosen"], row["rejected"]} == {before["chosen"], before["rejected"]}
        assert row["data_subset"] == before["data_subset"]


def by_turns(body: Body, before: int) -> Reply:
    """Votes for "good" two times of three, in whichever order."""
    number = int(shown(body)[0].split()[-1])
    return says("A") if number % 2 else honest(body)


def test_several_verdicts_are_votes_to_the_reader(judged: Run, server: JudgeServer, tmp_path: Path):
    """Of odd pairs, a judge who always says A votes 2 to 1 for the response shown first twice."""
    server.answer = by_turns
    result = judged(10, objective="helpful", votes=3)
    assert len(server.bodies) == 30
    data = load_comparisons(tmp_path / "out" / "helpful")
    assert len(data) == 10
    for each, row in zip(data, result.rows, strict=True):
        shares, votes = each.outcome.shares, each.outcome.votes
        assert votes == 3
        expected = (0.0, 0.0, 1.0) if row["Index"] % 2 == 0 else (1 / 3, 0.0, 2 / 3)
        np.testing.assert_allclose(shares, expected)
        named = [verdict["preferred"] == "chosen" for verdict in row["verdicts"]]
        assert (row["wins"], row["losses"]) == (sum(named), 3 - sum(named))
        orders = [verdict["shown_first"] for verdict in row["verdicts"]]
        assert orders[0] == orders[2] != orders[1]
    outcomes = data.outcomes
    assert outcomes is not None
    np.testing.assert_allclose(outcomes.shares[:, 2].sum(), 5 + 5 * 2 / 3, rtol=1e-6)


def test_a_judge_who_sees_nothing_but_the_order_gives_each_response_half_of_the_labels(
    judged: Run, server: JudgeServer
):
    """As of a fair coin, whatever the data prefer; two verdicts on a pair always split."""
    server.answer = lambda body, _: says("A")
    asking = {"concurrency": 16}
    result = judged(100, objective="helpful", asking=asking)
    wins = sum("good" in row["chosen"] for row in result.rows)
    assert binomtest(wins, 100, 0.5).pvalue > 1e-3
    agreement = result.measures["verdicts by helpful for the response that the data prefer"]
    assert agreement.against(0.5) == "cannot tell"
    assert result.measures["the response shown first was named"].value == 1.0
    assert all(row["label"] == 0 for row in result.rows)  # as shown, and so it is seen
    two = judged(10, objective="harmless", votes=2, out=Path("two"), asking=asking)
    assert all((row["wins"], row["losses"]) == (1, 1) for row in two.rows)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_same_call_again_asks_nothing_and_writes_the_same(
    judged: Run, server: JudgeServer, tmp_path: Path
):
    first = judged(8, objective="both")
    before = {file: file.read_bytes() for file in first.files}
    asked = len(server.bodies)
    again = judged(8, objective="both")
    assert len(server.bodies) == asked == 16
    assert again.rows == first.rows
    assert again.spent.requests == 0
    assert {file: file.read_bytes() for file in again.files} == before


def test_more_rows_more_votes_and_the_other_objective_ask_for_the_difference_alone(
    judged: Run, server: JudgeServer
):
    judged(4, objective="helpful")
    for rows, votes, objective, asked in (
        (6, 1, "helpful", 6),
        (6, 2, "helpful", 12),
        (6, 2, "both", 24),
    ):
        judged(rows, objective=objective, votes=votes)
        assert len(server.bodies) == asked
    assert max(server.asked.values()) == 1


def test_equal_pairs_are_asked_about_once_and_pairs_of_equal_texts_never(
    judged: Run, server: JudgeServer
):
    rows = hh_rows(3)
    rows += [rows[0], {**rows[1], "rejected": rows[1]["chosen"]}]
    result = judged(rows, objective="helpful")
    assert len(server.bodies) == 3
    assert [row["Index"] for row in result.rows] == [0, 1, 2, 3]


def test_what_cannot_be_read_is_counted_and_kept_apart_as_it_came(
    judged: Run, server: JudgeServer, tmp_path: Path
):
    answers = {
        0: says("A"),
        1: says("Both are fine."),
        2: says("I'm sorry, but I can't compare these."),
        3: says(None, refusal="I will not."),
        4: says("", finish="content_filter"),
        5: says("Let me think about", finish="length"),
        6: says(None),
        7: Reply({"choices": []}),
        8: says("The answer is A or B."),
        9: says("Response B is more helpful than Response A."),
    }
    server.answer = lambda body, _: answers[int(shown(body)[0].split()[-1])]
    result = judged(10, objective="helpful")
    assert [row["Index"] for row in result.rows] == [0, 9]
    assert result.num_without_verdict == 8
    assert result.kinds == {
        **{"verdict": 2, "unreadable": 2, "refusal": 3, "truncated": 1, "empty": 2}
    }
    unread = read_jsonl(tmp_path / "out" / "judge" / "train.unread.jsonl")
    assert [row["Index"] for row in unread] == list(range(1, 9))
    assert unread[0]["answer"] == "Both are fine."
    assert unread[2]["refusal"] == "I will not."
    assert unread[4]["finish_reason"] == "length"
    assert {unread[0]["response_a"], unread[0]["response_b"]} == {"good 1", "bad 1"}
    assert unread[0]["prompt"] == "Human: Bread 1?"
    shown_text = str(result)
    assert "2 with a verdict, 8 without" in shown_text
    assert "3 refused by the judge" in shown_text
    record = read_json(tmp_path / "out" / "judge" / "train.json")
    assert record["counts"]["answers"] == result.kinds


def test_what_was_not_read_is_asked_again_only_where_it_is_wished(judged: Run, server: JudgeServer):
    def stubborn(body: Body, before: int) -> Reply:
        return honest(body) if before or "good 3" not in shown(body) else says("Hm.")

    server.answer = stubborn
    assert len(judged(5, objective="helpful").rows) == 4
    assert len(judged(5, objective="helpful").rows) == 4
    assert len(server.bodies) == 5
    again = judged(5, objective="helpful", ask_again=True)
    assert len(again.rows) == 5
    assert again.unread == []
    assert len(server.bodies) == 6


def test_no_verdict_at_all_is_an_error_that_names_the_answers(
    judged: Run, server: JudgeServer, tmp_path: Path
):
    server.answer = lambda body, _: says("Hm.")
    with pytest.raises(
        UserError, match=r"no verdict could be read of 3 answers \(3 neither A nor B"
    ):
        judged(3)
    assert len(read_jsonl(tmp_path / "out" / "judge" / "train.unread.jsonl")) == 3
    assert not (tmp_path / "out" / "both").exists()


def test_labels_of_another_judge_or_of_nobody_are_not_written_over(
    judged: Run, server: JudgeServer, tmp_path: Path
):
    judged(3)
    asked = len(server.bodies)
    for change, what in (
        ({"seed": 1}, "seed is 0, and it is 1 now"),
        ({"judge": {"model": "other"}}, "judge is .*'model': 'judge'.*'model': 'other'"),
        ({"objective": "helpful"}, "objective is mixed, and it is helpful now"),
    ):
        with pytest.raises(UserError, match=f"out holds labels whose {what}.*another folder"):
            judged(3, **change)
    theirs = tmp_path / "theirs" / "helpful" / "train.jsonl.gz"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    with pytest.raises(UserError, match=r"train\.jsonl\.gz is there, and .* does not say"):
        judged(3, out=tmp_path / "theirs")
    assert theirs.read_bytes() == b"precious"
    assert len(server.bodies) == asked


def test_where_the_judge_lives_may_change(judged: Run, server: JudgeServer, tmp_path: Path):
    judged(3)
    host = server.url.replace("127.0.0.1", "localhost")
    judged(4, judge={"base_url": host, "timeout": 7.0})
    assert len(server.bodies) == 4
    record = read_json(tmp_path / "out" / "judge" / "train.json")
    assert record["endpoints"] == sorted([server.url, host])


def test_conversations_stay_conversations(judged: Run, server: JudgeServer, tmp_path: Path):
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Bread?"}]
    rows = [
        {
            "prompt": asked,
            "chosen": [{"role": "assistant", "content": "bad 0"}],
            "rejected": [{"role": "assistant", "content": "good 0"}],
        }
    ]
    result = judged(rows, objective="both")
    assert shown(server.bodies[0])[0] in ("good 0", "bad 0")
    assert "System: Be brief.\n\nHuman: Bread?" in server.bodies[0]["messages"][0]["content"]
    for row in result.rows:
        assert row["prompt"] == asked
        assert row["chosen"] == [*asked, {"role": "assistant", "content": "good 0"}]
    data = load_comparisons(tmp_path / "out")
    assert [each.chosen for each in data] == [row["chosen"] for row in result.rows]
    assert list(data[0].prompt or ()) == asked


def test_rankings_are_refused_by_row(judged: Run):
    row = {"prompt": "p", "responses": ["a", "b", "c"], "ranking": [0, 1, 2]}
    with pytest.raises(UserError, match="data, row 1: 3 responses; a judge compares two"):
        judged([row])


def test_ties_of_the_data_have_no_original_label(judged: Run):
    row: dict[str, Any] = {
        "prompt": "Bread?",
        "response_a": "good",
        "response_b": "bad",
        "winner": "tie",
    }
    result = judged([row], objective="helpful")
    assert result.rows[0]["original_label"] is None
    assert result.rows[0]["prompt"] == "Human: Bread?"
    assert result.rows[0]["chosen"] == "Human: Bread?\n\nAssistant: good"
    assert len(result.comparisons()) == 1
    assert "verdicts by helpful for the response that the data prefer" not in result.measures

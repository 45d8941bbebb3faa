"""Servers fail in every way: what they answer is kept, what may pass is tried again, no more."""

import email.utils
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judge_server import KEY, Body, JudgeServer, Reply, fails, honest, says, shown

from hidden_context.errors import UserError
from hidden_context.records import read_jsonl
from hidden_context.relabelling import asking as asking_module
from hidden_context.relabelling.answers import only_run_in
from hidden_context.relabelling.budget import Budget
from hidden_context.relabelling.judge import Judge
from hidden_context.relabelling.result import Relabelled

Run = Callable[..., Relabelled]


def number_of(body: Body) -> int:
    return int(shown(body)[0].split()[-1])


def first_time(reply: Reply) -> Callable[[Body, int], Reply]:
    """Fail each question once, then answer."""
    return lambda body, before: honest(body) if before else reply


PASSING = {
    "500": fails(500),
    "502 of a proxy": Reply(b"<html>Bad gateway</html>", 502),
    "503": fails(503, "overloaded", Retry_After="0.01"),
    "429": fails(429, "slow down"),
    "429 with seconds": fails(429, Retry_After="0.02"),
    "429 with milliseconds": fails(429, retry_after_ms="20"),
    "429 with a date": fails(429, Retry_After=email.utils.formatdate(0, usegmt=True)),
    "429 with nonsense": fails(429, Retry_After="soon"),
    "429 with a number that is none": fails(429, Retry_After="nan"),
    "408": fails(408),
    "dropped before the header": Reply(dropped_after=-1),
    "dropped in the middle": Reply(says("A").body, dropped_after=30),
    "cut JSON": Reply(b'{"choices": [{"mess'),
    "no JSON": Reply(b"<html>welcome</html>"),
    "another JSON": Reply(b'["A"]'),
    "an error that says it is none": Reply({"error": {"message": "busy"}}),
    "nothing": Reply(b""),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_may_pass_is_tried_again(what: str, judged: Run, server: JudgeServer):
    server.answer = first_time(PASSING[what])
    result = judged(4, objective="helpful")
    assert all("good" in row["chosen"] for row in result.rows)
    assert len(result.rows) == 4
    assert result.spent.requests == len(server.bodies) == 8
    assert result.kinds == {"verdict": 4}


@pytest.mark.parametrize("slow", [Reply(says("A").body, delay=3), Reply(b" " * 60, pieces=0.05)])
def test_slow_answers_are_given_up_as_a_whole(slow: Reply, judged: Run, server: JudgeServer):
    """Also those that come byte by byte, of which no single wait is long."""
    server.answer = first_time(slow)
    result = judged(3, objective="helpful", judge={"timeout": 0.5}, asking={"retries": 5})
    assert len(result.rows) == 3
    assert result.spent.uncounted >= 3  # they may have been paid
    assert len(server.bodies) >= 6


def test_slow_answers_within_the_timeout_are_answers(judged: Run, server: JudgeServer):
    server.answer = lambda body, _: Reply(honest(body).body, delay=0.2)
    assert len(judged(4, objective="helpful", asking={"concurrency": 4}).rows) == 4
    assert len(server.bodies) == 4


def test_retry_after_is_obeyed_by_all_threads(judged: Run, server: JudgeServer):
    """The first request is told to wait; nothing comes until then."""
    counter = itertools.count()
    server.answer = lambda body, _: honest(body) if next(counter) else fails(429, Retry_After="0.4")
    judged(6, objective="helpful", asking={"concurrency": 1})
    gaps = [later - earlier for earlier, later in itertools.pairwise(server.times)]
    assert gaps[0] >= 0.39
    assert len(server.bodies) == 7
    server.answer = lambda body, before: (
        honest(body) if before or number_of(body) != 6 else fails(429, Retry_After="0.4")
    )
    start = len(server.times)
    judged(20, objective="helpful", asking={"concurrency": 3})
    asked = [number_of(body) for body in server.bodies[start:]]
    after = sorted(server.times[start + asked.index(6) :])
    assert max(later - earlier for earlier, later in itertools.pairwise(after)) >= 0.3


def test_a_wait_that_is_too_long_ends_the_run(judged: Run, server: JudgeServer):
    server.answer = lambda body, _: (
        honest(body) if number_of(body) < 3 else fails(429, "daily limit", Retry_After="3600")
    )
    with pytest.raises(
        UserError, match=r"asks to wait for 3600 seconds \(.*daily limit.*same again"
    ):
        judged(6, objective="helpful", asking={"concurrency": 1})
    assert len(server.bodies) == 4
    server.answer = honest
    assert len(judged(6, objective="helpful").rows) == 6
    assert len(server.bodies) == 7


FATAL = {
    "401": (fails(401, f"Incorrect API key: {KEY}"), r"does not accept the key .*OPENAI_API_KEY"),
    "402": (fails(402, "credits"), "wants to be paid first"),
    "404": (fails(404, "no model judge"), r"does not know this model or address \(model judge"),
    "405": (Reply(b"", 405), "is no endpoint for chat completions"),
    "no quota": (fails(429, "quota", code="insufficient_quota"), "wants to be paid first: .*quota"),
}


@pytest.mark.parametrize("what", FATAL)
def test_what_all_requests_would_meet_ends_the_run_at_once(
    what: str, judged: Run, server: JudgeServer, tmp_path: Path
):
    reply, message = FATAL[what]
    server.answer = lambda body, _: honest(body) if number_of(body) < 2 else reply
    with pytest.raises(UserError, match=message) as raised:
        judged(30, objective="helpful", asking={"concurrency": 2})
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(server.bodies) <= 4
    server.answer = honest
    assert len(judged(30, objective="helpful").rows) == 30
    assert sum(server.asked.values()) <= 30 + 2


TOO_LONG = {
    "OpenAI": fails(400, "This model's maximum context length is 4 tokens.", code="context_length"),
    "vLLM": fails(400, "This model's maximum context length is 4 tokens. You requested 9."),
    "llama.cpp": fails(400, "the request exceeds the available context size"),
    "a proxy": fails(413, "Payload too large"),
    "others": fails(422, "prompt is too long: 9 tokens > 4 maximum"),
}


@pytest.mark.parametrize("what", TOO_LONG)
def test_texts_that_are_too_long_are_kept_apart_and_not_asked_again(
    what: str, judged: Run, server: JudgeServer, tmp_path: Path
):
    server.answer = lambda body, _: honest(body) if number_of(body) else TOO_LONG[what]
    for _ in range(2):
        result = judged(3, objective="helpful")
        assert [row["Index"] for row in result.rows] == [1, 2]
        assert result.kinds == {"too_long": 1, "verdict": 2}
    assert len(server.bodies) == 3
    assert result.unread[0]["error"]


@pytest.mark.parametrize(
    "reply",
    [
        fails(400, "The response was filtered", code="content_filter"),
        fails(403, "Your input was flagged by moderation"),
    ],
)
def test_a_filter_before_the_judge_is_a_refusal(reply: Reply, judged: Run, server: JudgeServer):
    server.answer = lambda body, _: honest(body) if number_of(body) else reply
    result = judged(3, objective="helpful")
    assert result.kinds == {"refusal": 1, "verdict": 2}


def test_a_request_that_is_refused_among_others_is_kept_apart(judged: Run, server: JudgeServer):
    server.answer = lambda body, _: honest(body) if number_of(body) % 4 else fails(400, "odd text")
    for _ in range(2):
        result = judged(9, objective="helpful", asking={"concurrency": 1})
        assert result.kinds == {"request_refused": 3, "verdict": 6}
    assert len(server.bodies) == 9
    assert "odd text" in result.unread[0]["error"]


@pytest.mark.parametrize("rows", [3, 30])
def test_a_setting_that_is_refused_ends_the_run_and_leaves_no_answers(
    rows: int, judged: Run, server: JudgeServer, tmp_path: Path
):
    server.answer = lambda body, _: fails(400, "Use 'max_completion_tokens' instead.")
    with pytest.raises(UserError, match=r"did not answer \d question\(s\).*max_completion_tokens'"):
        judged(rows, asking={"concurrency": 1})
    assert len(server.bodies) == min(rows, asking_module.IN_A_ROW)
    assert len(read_jsonl(tmp_path / "out" / "judge" / "answers.jsonl")) == 1  # the header
    server.answer = lambda body, _: (
        honest(body) if "max_completion_tokens" in body else fails(400, "no")
    )
    result = judged(rows, judge={"limit_name": "max_completion_tokens"})
    assert len(result.rows) == rows


def test_a_server_that_is_down_ends_the_run(judged: Run, server: JudgeServer):
    server.answer = lambda body, _: fails(503, "down")
    with pytest.raises(UserError, match=r"did not answer 5 question\(s\).*503 down \(sent 3 times"):
        judged(30, asking={"concurrency": 1})
    assert len(server.bodies) == 15
    with pytest.raises(UserError, match="no connection"):
        judged(3, judge={"base_url": "http://127.0.0.1:9/v1"}, asking={"retries": 0})


def test_one_question_that_breaks_the_server_does_not_end_the_run(judged: Run, server: JudgeServer):
    server.answer = lambda body, _: honest(body) if number_of(body) else fails(500)
    result = judged(8, objective="helpful")
    assert [row["Index"] for row in result.rows] == list(range(1, 8))
    assert not result.is_complete
    assert result.num_unanswered == 1
    asked = len(server.bodies)
    server.answer = honest
    assert judged(8, objective="helpful").is_complete
    assert len(server.bodies) == asked + 1


def test_an_answer_without_end_is_none(
    judged: Run, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hidden_context.relabelling.endpoint.LARGEST_ANSWER", 1000)
    server.answer = first_time(says("A" * 5000))
    result = judged(2, objective="helpful")
    assert result.kinds == {"verdict": 2}
    assert len(server.bodies) == 4


def test_answers_in_other_forms_are_read(judged: Run, server: JudgeServer):
    forms = [
        says([{"type": "text", "text": "A"}]),
        says("A", finish=None),
        says("A", tokens=None),
        Reply({"choices": [{"message": {"content": "A"}}], "usage": {"prompt_tokens": "x"}}),
        Reply({"choices": [{"message": {"content": "A"}}], "usage": [1]}),
        says("<think>B?</think> A", reasoning_content="B?"),
        says(3),
        Reply({"choices": ["A"]}),
        Reply({"choices": [{"message": "A"}]}),
        Reply({"choices": [{"text": "A"}]}),
    ]
    server.answer = lambda body, _: forms[number_of(body)]
    result = judged(10, objective="helpful")
    assert result.kinds == {"verdict": 6, "empty": 4}
    assert result.spent.uncounted == 6  # forms 2, 3, 4 and the last three


def test_a_mess_of_failures_ends_with_every_label_and_no_answer_asked_twice(
    judged: Run, server: JudgeServer
):
    """One request in three fails, in a way that is drawn; answers given are never asked again."""
    dice = random.Random(0)
    given: list[str] = []

    def mess(body: Body, _: int) -> Reply:
        assert str(body) not in given
        if dice.random() < 1 / 3:
            return dice.choice(list(PASSING.values()))
        given.append(str(body))
        return honest(body)

    server.answer = mess
    result = judged(30, objective="both", asking={"concurrency": 12, "retries": 12})
    assert len(result.rows) == len(given) == 60
    assert all("good" in row["chosen"] for row in result.rows)


def test_no_more_requests_are_under_way_than_allowed(judged: Run, server: JudgeServer):
    server.answer = lambda body, _: Reply(honest(body).body, delay=0.2)
    judged(9, objective="helpful", asking={"concurrency": 3})
    assert 2 <= server.most_at_once <= 3


def test_requests_are_no_more_than_so_many_a_minute(judged: Run, server: JudgeServer):
    judged(6, objective="helpful", asking={"concurrency": 6, "requests_per_minute": 1200})
    assert server.times[-1] - server.times[0] >= 5 * 0.05 - 0.02


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_of_requests_ends_the_run_and_the_next_goes_on(
    concurrency: int, judged: Run, server: JudgeServer, tmp_path: Path
):
    how: dict[str, Any] = {
        "objective": "helpful",
        "asking": {"concurrency": concurrency},
        "budget": Budget(requests=4),
    }
    first = judged(10, **how)
    assert (len(first.rows), first.num_unanswered) == (4, 6)
    assert first.stopped_by == "requests: 4 of 4"
    assert len(read_jsonl(tmp_path / "out" / "helpful" / "train.jsonl.gz")) == 4
    assert len(judged(10, **how).rows) == 8
    last = judged(10, **how)
    assert last.is_complete
    assert last.stopped_by is None
    assert len(server.bodies) == 10


def test_budgets_of_tokens_and_costs_are_not_exceeded(judged: Run, server: JudgeServer):
    """The most that a question can have here is some 700 + 64; each costs 110."""
    server.answer = lambda body, _: Reply(says("A", tokens=(100, 10)).body)
    result = judged(40, objective="helpful", budget=Budget(tokens=3000))
    spent = result.spent
    assert spent.prompt_tokens == 10 * spent.answer_tokens
    assert 1500 < spent.prompt_tokens + spent.answer_tokens <= 3000
    assert "tokens" in str(result.stopped_by)
    prices = {"prompt_price": 1.0, "answer_price": 10.0}
    result = judged(40, objective="helpful", budget=Budget(cost=0.004, **prices))
    assert result.cost is not None
    assert 0.001 < result.cost <= 0.004
    assert "cost" in str(result.stopped_by)
    assert judged(40, objective="helpful").is_complete
    assert max(server.asked.values()) == 1


def test_a_budget_for_nothing_sends_nothing(judged: Run, server: JudgeServer):
    for budget in (Budget(requests=0), Budget(tokens=100)):
        result = judged(3, budget=budget)
        assert (result.rows, server.bodies) == ([], [])
        assert result.stopped_by is not None


def test_failed_requests_count_and_end_the_run_in_the_middle_of_retrying(
    judged: Run, server: JudgeServer
):
    server.answer = lambda body, _: fails(500)
    result = judged(5, asking={"concurrency": 1, "retries": 9}, budget=Budget(requests=3))
    assert len(server.bodies) == 3
    assert result.stopped_by == "requests: 3 of 3"


def test_the_key_is_sent_and_written_nowhere(judged: Run, server: JudgeServer, tmp_path: Path):
    server.answer = lambda body, _: (
        honest(body) if number_of(body) else fails(400, f"bad {KEY}", code=KEY)
    )
    judged(3, asking={"concurrency": 1})
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 4
    for file in files:
        assert KEY.encode() not in file.read_bytes()
    assert "bad [key]" in (tmp_path / "out" / "judge" / "train.unread.jsonl").read_text()


def test_another_variable_may_hold_the_key_or_none(
    judged: Run, server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUDGE_KEY", " other\n")
    judged(1, judge={"api_key_env": "JUDGE_KEY"})
    assert server.headers[-1]["authorization"] == "Bearer other"
    judged(2, judge={"api_key_env": "none"})
    assert "authorization" not in server.headers[-1]
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match=r"variable OPENAI_API_KEY holds no key; set it, name"):
        judged(3)
    with pytest.raises(UserError, match=r"give the name .* not the key") as raised:
        judged(3, judge={"api_key_env": KEY})
    assert KEY not in str(raised.value)
    for wrong in ("two words", "schlüssel"):
        monkeypatch.setenv("OPENAI_API_KEY", wrong)
        with pytest.raises(UserError, match="cannot be a key") as raised:
            judged(3)
        assert wrong not in str(raised.value)


def test_the_address_is_the_clients_own_where_none_is_given(
    judged: Run, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    plans: list[Any] = []
    judged(1, judge={"base_url": None}, announce=plans.append)
    assert f"1 requests to {server.url} for judge" in str(plans[0])
    assert len(server.bodies) == 1
    for wrong in ("x", "127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://[", "http://a:x/v1"):
        with pytest.raises(UserError, match="base_url is no address"):
            judged(1, judge={"base_url": wrong})
    for secret in ("http://me:secret@127.0.0.1/v1", "http://127.0.0.1/v1?key=secret"):
        with pytest.raises(UserError, match="base_url holds a user, a password") as raised:
            judged(1, judge={"base_url": secret})
        assert "secret" not in str(raised.value)


def test_what_is_announced_is_what_is_asked_and_comes_before(judged: Run, server: JudgeServer):
    seen: list[tuple[int, int]] = []
    judged(2, objective="helpful")
    judged(
        5,
        objective="helpful",
        announce=lambda plan: seen.append((len(plan.to_ask), len(server.bodies))),
    )
    assert seen == [(3, 2)]
    assert len(server.bodies) == 5


def test_odd_settings_are_refused(judged: Run):
    for judge, message in (
        ({"max_answer_tokens": 0}, "max_answer_tokens is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"extra_body": {"messages": []}}, "extra_body has 'messages'"),
        ({"model": ""}, "the judge has no name"),
    ):
        with pytest.raises(UserError, match=message):
            judged(1, judge=judge)
    for asking, message in (
        ({"concurrency": 0}, "concurrency is 0; expected 1"),
        ({"retries": -1}, "retries is -1"),
        ({"longest_wait": float("nan")}, "longest_wait is nan"),
    ):
        with pytest.raises(UserError, match=message):
            judged(1, asking=asking)
    with pytest.raises(UserError, match="votes is 0"):
        judged(1, votes=0)
    with pytest.raises(UserError, match="objective is 'harmful'"):
        judged(1, objective="harmful")


def test_further_fields_are_sent_and_bound_the_answer(judged: Run, server: JudgeServer):
    extra = {"reasoning_effort": "low", "max_completion_tokens": 900}
    judged(1, judge={"temperature": 0.5, "extra_body": extra})
    body = server.bodies[0]
    assert body["reasoning_effort"] == "low"
    assert body["temperature"] == 0.5
    assert Judge(model="judge").most_tokens(body)[1] == 900


def test_what_a_kill_leaves_of_a_line_is_asked_again(
    judged: Run, server: JudgeServer, tmp_path: Path
):
    judged(4, objective="helpful")
    journal = tmp_path / "out" / "judge" / "answers.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert len(judged(4, objective="helpful").rows) == 4
    assert len(server.bodies) == 5


def test_a_damaged_or_foreign_journal_is_refused_by_line(
    judged: Run, server: JudgeServer, tmp_path: Path
):
    judged(2)
    journal = tmp_path / "out" / "judge" / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for damaged in (b'{"key": 1}\n', b'{"key": "a", "endpoint": "b", "text": 3}\n', b"[]\n"):
        journal.write_bytes(lines[0] + damaged + lines[2])
        with pytest.raises(UserError, match=r"answers\.jsonl, line 2"):
            judged(2)
    journal.write_bytes(b'{"a": 1}\n' + lines[1])
    with pytest.raises(UserError, match="another run"):
        judged(2)
    assert len(server.bodies) == 2


def test_two_runs_at_once_do_not_pay_the_same(judged: Run, server: JudgeServer, tmp_path: Path):
    with (
        only_run_in(tmp_path / "out" / "judge"),
        pytest.raises(UserError, match="another process is asking a judge"),
    ):
        judged(2)
    assert server.bodies == []
    assert len(judged(2).rows) == 2


def test_a_full_disk_ends_the_run(
    judged: Run, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hidden_context.journal.Journal.append", full)
    with pytest.raises(OSError, match="No space left"):
        judged(20, asking={"concurrency": 2})
    assert len(server.bodies) <= 4


def test_without_the_client_the_extra_is_named(judged: Run, monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r'pip install "hidden-context\[relabel\]"'):
        judged(1)

"""What the server refuses and how, and that nothing it has accepted is lost."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from hidden_context.distributions import SharedContext
from hidden_context.errors import UserError
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.serving import app as serving_app
from hidden_context.serving.options import ServingOptions
from hidden_context.serving.server import bound_socket, serve

JSON = {"Content-Type": "application/json"}
TEXTS = [f"Human: what is {number} and {number}? Assistant: ask again." for number in range(12)]


@dataclass
class HeldUp:
    """Whether a pass has begun, and whether passes may end."""

    scoring: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@contextmanager
def held_up(model: RewardModel) -> Iterator[HeldUp]:
    """The model scores nothing until it is told to go."""
    held = HeldUp()

    def wait(*_: object) -> None:
        held.scoring.set()
        held.go.wait(60)

    hook = model.model.register_forward_pre_hook(wait)
    try:
        yield held
    finally:
        held.go.set()
        hook.remove()


def accepted(client: httpx2.Client) -> int:
    return client.get("/health").json()["accepted"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def classify(client: httpx2.Client, text: str) -> httpx2.Response:
    return client.post("/classify", json={"input": text})


def reward(response: httpx2.Response) -> float:
    return response.json()["data"][-1]["probs"][-1]


def counted(client: httpx2.Client, line: str) -> float:
    """The value of a line of the metrics."""
    for each in client.get("/metrics").text.splitlines():
        if each.startswith(f"hidden_context_{line} "):
            return float(each.rpartition(" ")[2])
    raise AssertionError(line)


def test_a_full_queue_answers_503_and_a_client_that_tries_again_is_served(
    serving: Any, make_model: Any, tmp_path: Path, offline: RewardModel
):
    model = make_model(tmp_path / "rm", offline.family)
    expected = offline.reward(TEXTS)
    with serving(model, queue_size=3) as client, ThreadPoolExecutor(12) as pool:
        with held_up(model) as held:
            first = [pool.submit(classify, client, text) for text in TEXTS[:3]]
            until(lambda: accepted(client) == 3)
            refused = classify(client, TEXTS[3])
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) >= 1
            assert "try again" in refused.json()["detail"]
            many = client.post("/classify", json={"input": TEXTS[:4]})
            assert (many.status_code, "send fewer" in many.text) == (413, True)
            assert client.get("/health").status_code == 200
            held.go.set()
            found = [reward(each.result()) for each in first]
        np.testing.assert_allclose(found, expected[:3], atol=1e-5)

        def persistent(text: str) -> float:
            while (response := classify(client, text)).status_code == 503:
                time.sleep(0.01)
            return reward(response)

        np.testing.assert_allclose(list(pool.map(persistent, TEXTS)), expected, atol=1e-5)
        assert counted(client, 'requests_total{route="/classify",status="503"}') >= 1
        assert counted(client, "accepted_texts") == 0
        assert counted(client, "texts_total") == 15


def test_a_body_over_the_limit_answers_413_announced_or_not(serving: Any):
    with serving(max_body_mb=0.01) as client:
        limit = int(0.01 * 2**20)
        filled = json.dumps({"input": "a"}).encode()
        fits = filled + b" " * (limit - len(filled))
        assert client.post("/classify", content=fits, headers=JSON).status_code == 200
        over = client.post("/classify", content=fits + b" ", headers=JSON)
        assert (over.status_code, "bytes" in over.json()["detail"]) == (413, True)
        in_parts = client.post("/classify", content=iter([fits, b" "]), headers=JSON)
        assert in_parts.status_code == 413
        assert classify(client, "a").status_code == 200
    huge = f"POST /classify HTTP/1.1\r\nHost: a\r\nContent-Length: {10**12}\r\n\r\n"
    with serving(max_body_mb=0.01) as client:
        assert b" 413 " in raw_answer(client, huge.encode())


def raw_answer(client: httpx2.Client, request: bytes) -> bytes:
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(request)
        return connection.recv(2000)


def test_a_body_that_does_not_come_is_not_waited_for(serving: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serving_app, "BODY_SECONDS", 0.1)
    head = b"POST /classify HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
    with serving() as client:
        assert b" 408 " in raw_answer(client, head)


def test_only_who_shows_the_token_may_ask(serving: Any):
    with serving(token="s3cret") as client:
        for shown in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}):
            refused = client.post("/classify", json={"input": "a"}, headers=shown)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert client.get("/metrics", headers=shown).status_code == 401
        mine = {"Authorization": "bearer s3cret"}
        assert client.post("/classify", json={"input": "a"}, headers=mine).status_code == 200
        assert client.get("/health").status_code == 200
        page = client.get("/openapi.json").json()
        assert page["paths"]["/classify"]["post"]["security"] == [{"token": []}]
        assert "security" not in page["paths"]["/health"]["get"]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/classify", b'{"input": ', "JSON"),
        ("/classify", b"", "required"),
        ("/classify", b'{"input": NaN}', "input"),
        ("/classify", b'{"input": []}', "at least 1 item"),
        ("/classify", b'{"input": [[5, 999999]]}', "0 to 299"),
        ("/classify", b'{"input": [-1]}', "greater than or equal to 0"),
        ("/classify", b'{"input": "a", "use_activation": true}', "use_activation"),
        ("/classify", b'{"input": "a", "messages": [{"role": "user"}]}', "messages"),
        ("/classify", b'{"messages": [{"role": "king", "content": "a"}]}', "role is 'king'"),
        ("/v1/embeddings", b'{"input": "a", "encoding_format": "base64"}', "float"),
        ("/get_reward", b'{"query": ["a", ""]}', "text 2 is empty"),
        ("/get_reward", b'{"query": "a"}', "query"),
        ("/v1/reward", b'{"prompt": 1, "response": "a"}', "prompt"),
        ("/v1/reward?risk=cvar", b'{"prompt": "a", "response": "b"}', "cvar takes a level"),
        ("/v1/reward?risk=worst_context", b'{"prompt": "a", "response": "b"}', "shared_context"),
        ("/v1/distribution", b'{"prompt": "a", "responses": ["b"], "q": 1}', "Extra inputs"),
        ("/v1/distribution", b'{"prompt": "a", "responses": ["b"], "quantiles": [1]}', "less than"),
        ("/v1/score/evaluation", b'{"messages": ["a"]}', "model"),
    ],
)
def test_malformed_bodies_are_refused_in_one_line_that_says_why(
    client: httpx2.Client, path: str, body: bytes, reason: str
):
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert reason in detail
    assert "\n" not in detail


def test_bodies_that_no_parser_likes_are_refused_too(client: httpx2.Client):
    for body in (b"[" * 100_000, b'{"input": "\xff"}', b"1" * 5000, b'{"input": 1e999}'):
        answer = client.post("/classify", content=body, headers=JSON)
        assert answer.status_code in (400, 422)
        assert answer.json()["detail"]
    odd = {"model": "\ud800", "input": "x"}
    body = json.dumps(odd).encode()
    answer = client.post("/classify", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["model"]) == (200, "?")
    body = json.dumps({"input": "\ud800"}).encode()
    answer = client.post("/classify", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert "half of one" in answer.text
    plain = client.post("/classify", content=b'{"input": "a"}', headers={"Content-Type": "text/a"})
    assert plain.status_code == 422  # a page of another site may send it, but not JSON


def test_an_over_long_text_is_cut_or_refused_as_the_server_was_told(
    serving: Any, offline: RewardModel
):
    with pytest.warns(UserWarning, match="over 9 tokens"):
        expected = offline.reward(TEXTS[:1], max_length=9)
    with serving(reading=ScoringOptions(max_length=9)) as client:
        assert reward(classify(client, TEXTS[0])) == pytest.approx(expected[0], abs=1e-5)
        assert counted(client, "overlong_texts_total") == 1
    with serving(reading=ScoringOptions(max_length=9, overlong="error")) as client:
        refused = classify(client, TEXTS[0])
        assert (refused.status_code, "max_length 9" in refused.text) == (422, True)
    with pytest.raises(UserError, match="left out"):
        serve(offline, ServingOptions(port=0), reading=ScoringOptions(overlong="drop"))


def test_a_reward_that_is_not_finite_is_refused_with_its_reason_and_null_among_others(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
):
    from hidden_context.distributions.normal import NormalUtility

    monkeypatch.setattr(NormalUtility, "_entropic", lambda self, _: self.mean - np.inf)
    for path, body in (
        ("/classify", {"input": "a"}),
        ("/get_reward", {"query": ["a"]}),
        ("/v1/reward", {"prompt": "a", "response": "b"}),
    ):
        refused = client.post(f"{path}?risk=entropic:1", json=body)
        assert refused.status_code == 422
        assert "text 1 by entropic:1.0 is -inf" in refused.json()["detail"]
    body = {"prompt": "a", "responses": ["b"], "risks": ["entropic:1", "mean"]}
    answer = client.post("/v1/distribution", json=body).json()
    assert answer["rewards"] == {"entropic:1.0": [None], "mean": answer["mean"]}


def test_aborted_clients_cost_no_other_its_answer(
    serving: Any, make_model: Any, tmp_path: Path, offline: RewardModel
):
    model = make_model(tmp_path / "rm", offline.family)
    expected = offline.reward(TEXTS)
    with serving(model) as client, ThreadPoolExecutor(12) as pool, held_up(model) as held:
        kept = [pool.submit(classify, client, TEXTS[0])]
        assert held.scoring.wait(30)  # else the pass would take those who leave, too
        gone = [asking(client, text) for text in TEXTS[1:6]]
        kept += [pool.submit(classify, client, text) for text in TEXTS[6:]]
        until(lambda: accepted(client) == 12)
        for connection in gone:
            connection.close()
        until(lambda: accepted(client) == 7)
        held.go.set()
        found = [reward(each.result()) for each in kept]
        np.testing.assert_allclose(found, [expected[0], *expected[6:]], atol=1e-5)
        until(lambda: counted(client, "aborted_texts_total") == 5)
        assert counted(client, "texts_total") == 7
        until(lambda: counted(client, 'requests_total{route="/classify",status="499"}') == 5)


def asking(client: httpx2.Client, text: str) -> socket.socket:
    """A connection on which a request was sent whose answer nobody reads."""
    body = json.dumps({"input": text}).encode()
    head = f"POST /classify HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 80))
    connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
    return connection


def refuses_connections(client: httpx2.Client) -> bool:
    try:
        socket.create_connection((client.base_url.host, client.base_url.port or 80)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_in_the_middle_loses_no_accepted_answer(
    serving: Any, make_model: Any, tmp_path: Path, offline: RewardModel
):
    """The server is told to stop while all texts wait; it answers them, and takes no more."""
    model = make_model(tmp_path / "rm", offline.family)
    expected = offline.reward(TEXTS)
    with ThreadPoolExecutor(12) as pool, serving(model) as client, held_up(model) as held:
        asked = [pool.submit(classify, client, text) for text in TEXTS]
        until(lambda: accepted(client) == 12)
        client.server.should_exit = True
        until(lambda: refuses_connections(client))
        held.go.set()
        answers = [each.result() for each in asked]
    np.testing.assert_allclose([reward(each) for each in answers], expected, atol=1e-5)


def test_a_mistake_of_the_server_is_500_and_its_log_says_more(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    from hidden_context.serving import routes

    monkeypatch.setattr(routes, "distributions_of", lambda *_: 1 / 0)
    answer = client.post("/v1/distribution", json={"prompt": "a", "responses": ["b"]})
    assert (answer.status_code, "ZeroDivisionError" in answer.json()["detail"]) == (500, True)
    until(lambda: "ZeroDivisionError" in caplog.text)


def test_contexts_are_centred_over_the_responses_to_a_prompt(
    serving: Any, make_model: Any, tmp_path: Path
):
    model = make_model(tmp_path / "rm", SharedContext())
    body = {"prompt": "Human: bread?", "responses": [" a", " b", " c"], "risks": ["worst_context"]}
    with (
        pytest.warns(UserWarning, match="comparable between responses to a prompt after centring"),
        serving(model) as client,
    ):
        found = client.post("/v1/distribution", json=body).json()
    utility = model.score([body["prompt"]], [body["responses"]])[0]
    np.testing.assert_allclose(found["mean"], utility.mean, atol=1e-5)
    worst = found["rewards"]["worst_context"]
    np.testing.assert_allclose(worst, utility.worst_context, atol=1e-5)


def test_an_address_that_is_taken_is_refused_in_a_line():
    with bound_socket(ServingOptions(port=0)) as taken:
        taken.listen()
        same = ServingOptions(port=taken.getsockname()[1])
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1 port {same.port}: .* use"):
            bound_socket(same)
    with pytest.raises(UserError, match=r"cannot listen on no-such-host\.invalid port"):
        bound_socket(ServingOptions(host="no-such-host.invalid"))

"""Each client's own way to ask, and the field it reads: the offline reward to 1e-5."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import numpy as np
import pytest

from hidden_context.llm.reward_model import RewardModel
from hidden_context.risk import parse_risk

PROMPT = "Human: how do I bake bread at home? Assistant:"
RESPONSES = [" Mix flour and water.", " No.", " Yeast, salt and a lot of time to rise.", " Ask me."]
TEXTS = [PROMPT + response for response in RESPONSES]


def openrlhf(client: httpx2.Client, url: str, query: str) -> dict[str, Any] | None:
    """One element a request, five tries; None if none was answered, as its executor has it."""
    for _ in range(5):
        try:
            body = {"query": [query], "prompts": [PROMPT], "labels": [None]}
            response = client.post(url, json=body, timeout=180)
            response.raise_for_status()
            answer = response.json()
            reward = answer["rewards"][0]
            logs = {name: values[0] for name, values in answer["extra_logs"].items()}
            return {"reward": reward, "scores": answer["scores"][0], "extra_logs": logs}
        except httpx2.HTTPError:
            time.sleep(0.01)
    return None


def verl(client: httpx2.Client, payload: dict[str, Any], endpoint: str) -> dict[str, Any]:
    """Sixteen tries; what has a status of 400 to 499 is not tried again."""
    for _ in range(16):
        response = client.post(f"/{endpoint}", json=payload)
        if response.status_code < 500:
            response.raise_for_status()
            return response.json()
        time.sleep(0.01)
    raise ConnectionError


def slime(client: httpx2.Client, prompt: Any, response: str) -> Any:
    """Ten tries, of anything; the whole answer is the reward."""
    for _ in range(10):
        payload = {"prompt": prompt, "response": response, "label": "42"}
        answer = client.post("/v1/reward", json=payload, timeout=120)
        if answer.is_success:
            return answer.json()
        time.sleep(0.01)
    raise ConnectionError


def by_all_at_once(ask: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    with ThreadPoolExecutor(len(values)) as pool:
        return list(pool.map(ask, values))


def test_openrlhf_has_its_special_tokens_already(client: httpx2.Client, offline: RewardModel):
    queries = [f"<s>{text}</s>" for text in TEXTS]
    answers = by_all_at_once(lambda query: openrlhf(client, "/get_reward", query), queries)
    ids = offline.tokenizer(queries, add_special_tokens=False)["input_ids"]
    assert ids[0][0] == offline.tokenizer.bos_token_id != ids[0][1]
    utility = offline.score(ids)
    rewards = [answer["reward"] for answer in answers]
    np.testing.assert_allclose(rewards, utility.mean, atol=1e-5)
    assert np.ptp(rewards) > 0.01
    assert [answer["scores"] for answer in answers] == rewards
    spread = [answer["extra_logs"]["utility_std"] for answer in answers]
    np.testing.assert_allclose(spread, utility.std, atol=1e-5)


def test_openrlhf_may_send_no_query_and_choose_a_risk_in_its_url(
    client: httpx2.Client, offline: RewardModel
):
    assert client.post("/get_reward", json={"query": []}).json()["rewards"] == []
    answer = openrlhf(client, "/get_reward?risk=cvar:0.05", f"<s>{TEXTS[0]}")
    assert answer is not None
    expected = parse_risk("cvar:0.05")(offline.score(TEXTS))[0]
    assert answer["reward"] == pytest.approx(expected, abs=1e-5)
    assert answer["extra_logs"]["utility_mean"] != answer["reward"]


def test_verl_reads_the_last_column_of_either_engine(client: httpx2.Client, offline: RewardModel):
    """The client has stripped BOS from the text, so it is added again."""
    expected = offline.reward(TEXTS)
    payload = {"model": "some/path", "use_activation": False}

    def vllm(text: str) -> float:
        answer = verl(client, {**payload, "input": text}, "classify")
        assert answer["model"] == "some/path"
        return answer["data"][-1]["probs"][-1]

    def sglang(text: str) -> float:
        answer = verl(client, {"model": "some/path", "input": text}, "v1/embeddings")
        return answer["data"][-1]["embedding"][-1]

    np.testing.assert_allclose(by_all_at_once(vllm, TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(by_all_at_once(sglang, TEXTS), expected, atol=1e-5)


def test_vllm_takes_texts_token_ids_and_messages(client: httpx2.Client, offline: RewardModel):
    ids = offline.tokenizer(TEXTS)["input_ids"]
    expected = offline.reward(TEXTS)
    for given, wanted in ((TEXTS, expected), (ids, expected), (ids[0], expected[:1])):
        answer = verl(client, {"input": given}, "classify")
        found = [each["probs"] for each in answer["data"]]
        np.testing.assert_allclose(found, np.array(wanted)[:, None], atol=1e-5)
        assert [each["index"] for each in answer["data"]] == list(range(len(wanted)))
        assert {each["num_classes"] for each in answer["data"]} == {1}
        assert answer["usage"]["prompt_tokens"] == sum(map(len, ids[: len(wanted)]))
    bare = verl(client, {"input": TEXTS, "add_special_tokens": False}, "classify")
    found = [each["probs"][0] for each in bare["data"]]
    np.testing.assert_allclose(found, offline.reward([each[1:] for each in ids]), atol=1e-5)
    turns = [{"role": "user", "content": "bread?"}, {"role": "assistant", "content": "flour"}]
    answer = verl(client, {"messages": turns}, "classify")
    assert answer["data"][0]["probs"] == pytest.approx(offline.reward([turns]), abs=1e-5)
    assert answer["data"][0]["probs"] != pytest.approx(expected[:1], abs=1e-3)


def test_slime_sends_prompt_and_response_and_reads_a_number(
    client: httpx2.Client, offline: RewardModel
):
    found = by_all_at_once(lambda response: slime(client, PROMPT, response), RESPONSES)
    np.testing.assert_allclose(found, offline.reward(TEXTS), atol=1e-5)
    templated = slime(client, f"<s>{PROMPT}", RESPONSES[0])  # no second BOS
    assert templated == pytest.approx(found[0], abs=1e-5)
    turns = [{"role": "user", "content": "bread?"}]
    expected = offline.reward([turns], ["flour"])[0]
    assert slime(client, turns, "flour") == pytest.approx(expected, abs=1e-5)


def test_llama_factory_sends_whole_texts(client: httpx2.Client, offline: RewardModel):
    messages = [TEXTS[0], f"<s>{TEXTS[1]}", *TEXTS[2:]]
    body = {"model": "rm", "messages": messages, "max_length": 4096}
    answer = client.post("/v1/score/evaluation", json=body).json()
    np.testing.assert_allclose(answer["scores"], offline.reward(TEXTS), atol=1e-5)
    assert (answer["object"], answer["model"]) == ("score.evaluation", "rm")
    body = {"model": "rm", "messages": TEXTS, "max_length": 9}
    short = client.post("/v1/score/evaluation", json=body).json()["scores"]
    with pytest.warns(UserWarning, match="4 of 4 texts over 9 tokens"):
        expected = offline.reward(TEXTS, max_length=9)
    np.testing.assert_allclose(short, expected, atol=1e-5)


def test_the_distribution_is_that_of_the_library(client: httpx2.Client, offline: RewardModel):
    body = {"prompt": PROMPT, "responses": RESPONSES, "quantiles": [0.1, 0.9], "risks": ["lcb:1"]}
    answer = client.post("/v1/distribution", json=body).json()
    utility = offline.score([PROMPT], [RESPONSES])[0]
    np.testing.assert_allclose(answer["mean"], utility.mean, atol=1e-5)
    np.testing.assert_allclose(answer["std"], utility.std, atol=1e-5)
    levels = np.stack([utility.quantile(0.1), utility.quantile(0.9)], axis=1)
    np.testing.assert_allclose(answer["quantiles"], levels, atol=1e-5)
    np.testing.assert_allclose(answer["rewards"]["lcb:1.0"], utility.mean - utility.std, atol=1e-5)
    preferred = np.array(answer["prob_preferred"])
    np.testing.assert_allclose(preferred + preferred.T, 1.0, atol=1e-9)
    assert preferred[0, 1] == pytest.approx(utility[0].prob_preferred_to(utility[1]), abs=1e-5)

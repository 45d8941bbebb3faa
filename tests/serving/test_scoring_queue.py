"""The queue: texts of many requests in one pass, with the prompt once; nobody waits for ever."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.serving.scoring_queue import (
    STOPPED,
    FullError,
    ModelError,
    ScoringQueue,
)


class Gate:
    """A scorer that can be held up, and notes what it is asked for."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.token_budget, self.num_outputs = scorer.token_budget, scorer.num_outputs
        self.passed: list[list[np.ndarray]] = []
        self.is_open = threading.Event()
        self.is_open.set()
        self.reached = threading.Event()
        self.refused: Any = None

    def __enter__(self) -> None:
        self._scorer.__enter__()

    def __exit__(self, *error: object) -> None:
        self._scorer.__exit__(*error)

    def pass_of_first(self, texts: Sequence[np.ndarray]) -> list[int]:
        return self._scorer.pass_of_first(texts)

    def raw_outputs(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        self.reached.set()
        assert self.is_open.wait(60)
        self.passed.append(list(texts))
        if self.refused is not None:
            self.refused(texts)
        return self._scorer.raw_outputs(texts)


@contextmanager
def queued(
    model: RewardModel, *, capacity: int = 1000, max_wait: float = 0.0, token_budget: int = 2048
) -> Iterator[tuple[ScoringQueue, Gate]]:
    scorer = model.scorer(ScoringOptions(batching="shared_prefix", token_budget=token_budget))
    gate = Gate(scorer)
    queue = ScoringQueue(gate, capacity=capacity, max_wait=max_wait)  # pyrefly: ignore
    queue.start()
    try:
        yield queue, gate
    finally:
        gate.is_open.set()
        queue.close()


def candidates(number: int, *, prompt: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.integers(5, 250, prompt)
    return [
        np.concatenate([shared, rng.integers(5, 250, 7)]).astype(np.int32) for _ in range(number)
    ]


async def asked_while_closed(
    queue: ScoringQueue, gate: Gate, requests: Sequence[Sequence[np.ndarray]]
) -> list[np.ndarray | BaseException]:
    """Answers to requests that all came while the model was held up by a first text."""
    gate.is_open.clear()
    first = asyncio.create_task(queue.raw_outputs([np.arange(5, 9, dtype=np.int32)]))
    await asyncio.to_thread(gate.reached.wait, 60)
    tasks = [asyncio.create_task(queue.raw_outputs(texts)) for texts in requests]
    await asyncio.sleep(0)
    gate.is_open.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


def together(found: Sequence[np.ndarray | BaseException]) -> np.ndarray:
    arrays = [each for each in found if isinstance(each, np.ndarray)]
    assert len(arrays) == len(found), found
    return np.concatenate(arrays)


def test_candidates_of_one_prompt_share_it_whoever_sent_them(offline: RewardModel):
    texts = candidates(16, prompt=300)
    computed: list[int] = []
    hook = offline.model.register_forward_pre_hook(
        lambda _, args, kwargs: computed.append(kwargs["batches"][0]["input_ids"].numel()),
        with_kwargs=True,
    )
    try:
        with queued(offline) as (queue, gate):
            found = asyncio.run(asked_while_closed(queue, gate, [[text] for text in texts]))
    finally:
        hook.remove()
    assert [len(each) for each in gate.passed] == [1, 16]
    assert computed[-1] == 300 + 16 * 7  # not 16 × 307
    expected = offline.scorer(ScoringOptions(batching="grouped")).raw_outputs(texts)
    np.testing.assert_allclose(together(found), expected, atol=1e-5)


def test_the_oldest_text_is_in_the_next_pass_with_those_that_share_its_prompt(
    offline: RewardModel,
):
    """Three prompts arrive in turns; each pass is of one, in the order of their first texts."""
    prompts = [candidates(6, prompt=150, seed=seed) for seed in (3, 1, 2)]
    in_turns = [[text] for texts in zip(*prompts, strict=True) for text in texts]
    with queued(offline, token_budget=200) as (queue, gate):
        asyncio.run(asked_while_closed(queue, gate, in_turns))
    begins = [[tuple(text[:20]) for text in texts] for texts in gate.passed[1:]]
    assert [len(set(each)) for each in begins] == [1, 1, 1]
    assert [each[0] for each in begins] == [tuple(texts[0][:20]) for texts in prompts]


def test_an_idle_model_waits_for_as_many_texts_as_it_had_and_no_longer(offline: RewardModel):
    texts = candidates(4, prompt=30)

    async def ask(queue: ScoringQueue, gate: Gate) -> float:
        await asked_while_closed(queue, gate, [[text] for text in texts])
        gate.passed.clear()
        started = time.monotonic()
        await queue.raw_outputs(texts[:1])
        alone = time.monotonic() - started
        await asked_while_closed(queue, gate, [[text] for text in texts])
        gate.passed.clear()
        later = [asyncio.create_task(queue.raw_outputs([texts[0]]))]
        await asyncio.sleep(0.05)
        later += [asyncio.create_task(queue.raw_outputs([text])) for text in texts[1:]]
        await asyncio.gather(*later)
        return alone

    with queued(offline, max_wait=0.5) as (queue, gate):
        alone = asyncio.run(ask(queue, gate))
    assert alone >= 0.5  # for three others that never came
    assert [len(each) for each in gate.passed] == [4]


def test_one_client_alone_is_not_kept_waiting(offline: RewardModel):
    async def ask(queue: ScoringQueue) -> None:
        for text in candidates(3, prompt=30):
            await queue.raw_outputs([text])

    with queued(offline, max_wait=100.0) as (queue, gate):
        started = time.monotonic()
        asyncio.run(ask(queue))
        assert time.monotonic() - started < 50
    assert len(gate.passed) == 3


def test_a_text_that_cannot_be_scored_spoils_no_other(offline: RewardModel):
    good, bad = candidates(3, prompt=30), np.array([9, 9, 9, 9], np.int32)

    def refuse(texts: Sequence[np.ndarray]) -> None:
        if any(text.tolist() == bad.tolist() for text in texts):
            raise UserError("not\nfinite")

    with queued(offline) as (queue, gate):
        gate.refused = refuse
        requests = [[good[0]], [good[1], bad], [good[2]]]
        found = asyncio.run(asked_while_closed(queue, gate, requests))
    assert isinstance(found[1], ModelError)
    assert str(found[1]) == "not finite"
    expected = offline.scorer(ScoringOptions(batching="grouped")).raw_outputs(good)
    np.testing.assert_allclose(together([found[0], found[2]]), expected[[0, 2]], atol=1e-5)


def test_what_a_client_no_longer_waits_for_is_not_scored(offline: RewardModel):
    texts = candidates(4, prompt=30)

    async def ask(queue: ScoringQueue, gate: Gate) -> np.ndarray:
        gate.is_open.clear()
        first = asyncio.create_task(queue.raw_outputs(texts[:1]))
        await asyncio.to_thread(gate.reached.wait, 60)
        gone, kept = (asyncio.create_task(queue.raw_outputs([text])) for text in texts[1:3])
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        gate.is_open.set()
        await first
        return await kept

    with queued(offline) as (queue, gate):
        found = asyncio.run(ask(queue, gate))
    assert [len(each) for each in gate.passed] == [1, 1]
    assert queue.counts.aborted == 1
    assert queue.counts.texts == 2
    expected = offline.scorer(ScoringOptions(batching="grouped")).raw_outputs(texts[2:3])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_place_is_kept_until_the_answer(offline: RewardModel):
    with queued(offline, capacity=3) as (queue, _):
        with queue.place_for(2), queue.place_for(1):
            with pytest.raises(FullError), queue.place_for(1):
                pass
            assert queue.accepted == 3
        assert queue.accepted == 0


def test_what_waits_when_the_queue_is_closed_is_scored_and_later_texts_are_refused(
    offline: RewardModel,
):
    texts = candidates(5, prompt=30)

    async def ask(queue: ScoringQueue, gate: Gate) -> list[np.ndarray]:
        gate.is_open.clear()
        tasks = [asyncio.create_task(queue.raw_outputs([text])) for text in texts]
        await asyncio.to_thread(gate.reached.wait, 60)
        closing = asyncio.create_task(asyncio.to_thread(queue.close))
        await asyncio.sleep(0.01)
        gate.is_open.set()
        await closing
        with pytest.raises(ModelError, match=STOPPED):
            await queue.raw_outputs(texts[:1])
        return await asyncio.gather(*tasks)

    with queued(offline) as (queue, gate):
        found = asyncio.run(ask(queue, gate))
    assert not queue.is_running
    assert len(found) == 5
    assert all(np.isfinite(each).all() for each in found)


def test_if_the_thread_ends_nobody_is_left_waiting(
    offline: RewardModel, monkeypatch: pytest.MonkeyPatch
):
    def fail(texts: Sequence[np.ndarray]) -> list[int]:
        raise MemoryError

    monkeypatch.setattr(threading, "excepthook", lambda failure: None)
    with queued(offline) as (queue, gate):
        gate.pass_of_first = fail
        with pytest.raises(ModelError, match="stopped scoring"):
            asyncio.run(queue.raw_outputs(candidates(1, prompt=30)))

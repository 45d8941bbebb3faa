"""Scoring against the published loop, and best-of-16 against sorted separate texts.

    python benchmarks/scoring.py

From token ids to raw outputs, float32, with a LoRA adapter. The published loop scores one text at a
time, padded to a multiple of 64, and keeps gradients; it is timed without them too. Each variant
has a process of its own. Scores of all are compared before any time is reported.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from timing import Runs, interleaved, report
from workload import (
    CPU,
    PAD,
    Machine,
    make_candidates,
    make_jailbreak_texts,
    make_model,
    make_pairs,
    make_tokenizer,
)

from hidden_context.device import keep_freed_memory
from hidden_context.distributions import make_family
from hidden_context.llm.backbone import padded
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.score import Scorer, ScoringOptions

OURS = "hidden-context"
PUBLISHED = "published loop"
BARE = "published loop without gradients"
SORTED = "sorted, padded batches of 16"
Score = Callable[[Sequence[np.ndarray]], np.ndarray]
Timed = Callable[[Sequence[np.ndarray]], tuple[float, np.ndarray]]


def make_reward_model(machine: Machine = CPU) -> RewardModel:
    """The benchmark's model, ready to score."""
    model = make_model(machine=machine).eval()
    return RewardModel(model, make_tokenizer(), make_family("base"), "benchmark")


def ours(scorer: Scorer) -> Score:
    """What the commands do once they have token ids."""
    return lambda texts: scorer.raw_outputs(texts, lambda count: None)


def published(model: Any) -> Score:
    """One text at a time, padded to a multiple of 64, for gradients that nobody asks for."""

    def score(texts: Sequence[np.ndarray]) -> np.ndarray:
        outputs = []
        for text in texts:
            missing = -len(text) % 64
            batch = padded([text], PAD)
            batch = {name: torch.nn.functional.pad(x, (0, missing)) for name, x in batch.items()}
            outputs.append(model(**send_to_device(batch, model.device)).logits.detach().cpu())
        return torch.cat(outputs).float().numpy()

    return score


def published_without_gradients(model: Any) -> Score:
    """The same loop without them."""
    return torch.no_grad()(published(model))


def in_sorted_batches(model: Any) -> Score:
    """Longest first, 16 together, padded to the longest."""

    @torch.inference_mode()
    def score(texts: Sequence[np.ndarray]) -> np.ndarray:
        order = np.argsort([-len(text) for text in texts], kind="stable")
        outputs = []
        for i in range(0, len(texts), 16):
            batch = padded([texts[index] for index in order[i : i + 16]], PAD)
            outputs.append(model(**send_to_device(batch, model.device)).logits.cpu())
        return torch.cat(outputs).float().numpy()[np.argsort(order)]

    return score


def compare(
    variants: Mapping[str, Timed], work: Sequence[Sequence[np.ndarray]], atol: float = 1e-5
) -> Runs:
    """Time the variants on each part of the work; scores may differ by `atol`.

    Raises:
        AssertionError: The scores of a text differ.
    """
    scores: dict[tuple[str, int], np.ndarray] = {}

    def run(name: str, part: int) -> float:
        seconds, scores[name, part] = variants[name](work[part])
        return seconds

    runs = interleaved(
        {name: lambda part, name=name: run(name, part) for name in variants}, len(work)
    )
    for (name, part), found in scores.items():
        np.testing.assert_allclose(found, scores[OURS, part], atol=atol, err_msg=name)
    return runs


def timed(score: Score) -> Timed:
    """With the seconds it took."""

    def run(texts: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
        started = time.perf_counter()
        raw = score(texts)
        return time.perf_counter() - started, raw

    return run


def serve(variant: str, connection: Connection) -> None:
    """Score what comes through `connection`, in a process as a user of the variant has it."""
    with ExitStack() as stack:
        if variant == OURS:
            keep_freed_memory()  # as the commands do
            options = ScoringOptions(max_length=4096)
            score = ours(stack.enter_context(make_reward_model().scorer(options)))
        else:
            score = PEERS[variant](make_model().eval())
        run = timed(score)
        while (texts := connection.recv()) is not None:
            connection.send(run(texts))


@contextmanager
def processes(variants: Sequence[str]) -> Iterator[dict[str, Timed]]:
    """Each variant in a process of its own; one at a time has work."""
    spawn = multiprocessing.get_context("spawn")
    connections = {}
    for variant in variants:
        connections[variant], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(variant, theirs), daemon=True).start()

    def ask(variant: str, texts: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
        connections[variant].send(texts)
        return connections[variant].recv()

    try:
        yield {variant: partial(ask, variant) for variant in variants}
    finally:
        for connection in connections.values():
            connection.send(None)


PEERS: dict[str, Callable[[Any], Score]] = {
    PUBLISHED: published,
    BARE: published_without_gradients,
    SORTED: in_sorted_batches,
}


def main() -> None:
    """Print one table for each kind of texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    pairs, source = make_pairs()
    jailbreaks, jailbreak_source = make_jailbreak_texts()
    texts = [pair[side] for pair in pairs for side in ("chosen", "rejected")]
    candidates = make_candidates(4, prompt=500, candidates=16, own=60)
    print("## Scoring\n")
    with processes([OURS, *PEERS]) as variants:
        for variant in variants.values():
            variant(texts[:32])  # warm
        for title, names, wanted, work in (
            (
                f"150 pairs a repetition of {source}",
                list(variants),
                {PUBLISHED: 2.9},
                [texts[i * 300 : (i + 1) * 300] for i in range(repetitions)],
            ),
            (
                f"{jailbreak_source}, all of them each time",
                [OURS, PUBLISHED],
                {PUBLISHED: 1.9},
                [jailbreaks] * repetitions,
            ),
            (
                "Best of 16: 4 prompts of 500 tokens, candidates of 60",
                [OURS, SORTED],
                {SORTED: 5.0},
                [candidates] * repetitions,
            ),
        ):
            runs = compare({name: variants[name] for name in names}, work)
            print(f"{title} ({repetitions} repetitions):\n")
            print(report(runs, OURS, wanted, unit="text", per=len(work[0])), "\n", flush=True)


if __name__ == "__main__":
    main()

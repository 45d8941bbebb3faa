"""The benchmarks' own sums: ratios, generated lengths, counted operations. No times."""

import importlib
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def program(name: str) -> Any:
    return importlib.import_module(name)


def test_ratios_are_within_a_repetition():
    timing = program("timing")
    runs = {"ours": [1.0, 2.0, 4.0], "peer": [3.0, 8.0, 8.0]}
    assert timing.ratio(runs, "peer", "ours") == (3.0, 2.0, 4.0)
    table = timing.report(runs, "ours", {"peer": 3.2}, unit="step", per=2)
    assert "3.00 (2.00 to 4.00)" in table
    assert "missed by 6.2 %" in table
    assert "1000" in table  # ms a step of ours: median 2 s for 2 steps
    assert timing.verdict(3.0, 3.0) == "reached"


def test_variants_take_turns_to_be_first():
    order: list[tuple[str, int]] = []
    variants = {name: lambda r, name=name: order.append((name, r)) or 1.0 for name in ("a", "b")}
    program("timing").interleaved(variants, 2)
    assert order == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]


def test_generated_pairs_have_the_lengths_of_the_real_ones():
    """Means of 184 tokens a text, 133 of them shared, within four standard errors."""
    packing = importlib.import_module("hidden_context.llm.packing")
    pairs = program("workload").generated_pairs(2000)
    shared = [packing.common_prefix(pair["chosen"], pair["rejected"]) for pair in pairs]
    lengths = [len(pair[side]) for pair in pairs for side in ("chosen", "rejected")]
    assert np.mean(shared) == pytest.approx(133, abs=4 * 140 / 2000**0.5)
    assert np.mean(lengths) == pytest.approx(184, abs=4 * 150 / 2000**0.5)


def test_ours_and_the_peer_start_from_the_same_weights():
    make_model = program("workload").make_model
    ours, peer = make_model().state_dict(), make_model(ours=False).state_dict()
    assert ours.keys() == peer.keys()
    assert all(torch.equal(ours[name], peer[name]) for name in ours)


def test_operations_are_counted_as_by_hand():
    """One text of 3 tokens: all layers' weights, but the last one's queries, keys and values."""
    arithmetic, workload = program("arithmetic"), program("workload")
    hidden, inner, layers = 384, 1024, 6
    weights = 4 * hidden**2 + 3 * hidden * inner
    linear = 2 * 3 * ((layers - 1) * weights + 3 * hidden**2)
    looks = 3 * 3 / 2
    attention = 4 * hidden * looks * (layers - 1)
    text = np.arange(3, dtype=np.int32)
    assert arithmetic.operations([text], backward=False) == pytest.approx(linear + attention)
    both = arithmetic.operations([text], backward=True)
    assert both == pytest.approx(2 * linear + 3 * attention)
    assert workload.SIZES["hidden_size"] == hidden


def test_make_bench_runs_every_program():
    helpers = {"timing", "workload", "run_all"}
    programs = {path.stem for path in FOLDER.glob("*.py")} - helpers
    assert {Path(name).stem for name in program("run_all").PROGRAMS} == programs


def test_candidates_for_a_prompt_follow_one_another_and_none_is_asked_for_twice():
    serving = program("serving")
    texts = serving.make_texts(40, seed=1)
    assert len(set(texts)) == 40
    prompts = [" ".join(text.split()[: serving.PROMPT]) for text in texts]
    assert [prompts.count(each) for each in dict.fromkeys(prompts)] == [16, 16, 8]
    assert {len(text.split()) for text in texts} == {serving.PROMPT + serving.OWN}


def test_a_request_without_an_answer_ends_the_serving_benchmark():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        threading.Thread(target=lambda: [deaf.accept()[0].close() for _ in range(2)]).start()
        with pytest.raises(RuntimeError, match="2 of 2 requests have no answer"):
            program("serving").ask(port, ["a", "b"], clients=2)

"""How time and memory grow: with the number of pairs, the prompt's length, and the candidates.

    python benchmarks/scaling.py

Scoring runs as a user would run it (`hidden-context evaluate` on a file, in a process of its own),
with a model so small that 64,000 pairs take minutes. Peak memory is the process's largest resident
set.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scoring import make_reward_model, ours
from tabulate import tabulate
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast
from workload import PAD, generated_pairs, make_candidates

from hidden_context.distributions import make_family
from hidden_context.llm.checkpoint import save_record
from hidden_context.llm.score import Scorer, ScoringOptions
from hidden_context.records import write_jsonl

SIZES = (1_000, 4_000, 16_000, 64_000)
WORDS = 1000
MEASURE = """
import resource, sys
from hidden_context.commands.cli import main
status = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


def save_checkpoint(folder: Path) -> None:
    """A Llama of one layer and 8 channels, whose tokens are words."""
    vocabulary = {"<pad>": PAD, "<unk>": 1, **{f"w{i}": i + 2 for i in range(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        pad_token_id=PAD,
    )
    config.num_labels = 1
    torch.manual_seed(0)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    family = make_family("base")
    save_record(folder, family=family, model_name="", config={}, metrics={}, history=[])


def write_pairs(file: Path, number: int) -> None:
    """Pairs of words, with the lengths of HH-RLHF."""
    write_jsonl(
        file,
        (
            {side: " ".join(f"w{token % WORDS}" for token in ids) for side, ids in pair.items()}
            for pair in generated_pairs(number)
        ),
    )


def evaluate(folder: Path, number: int) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of `hidden-context evaluate` on as many pairs."""
    data = folder / f"{number}.jsonl"
    write_pairs(data, number)
    command = [sys.executable, "-c", MEASURE, "evaluate", f"--data_path={data}"]
    command += [f"--reward_model_checkpoint={folder / 'model'}"]
    command += [f"--output={folder / 'scores.jsonl'}"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    meta = json.loads((folder / "scores.jsonl.meta.json").read_text())
    assert meta["counts"]["comparisons"] == number
    data.unlink()
    peak = next(line for line in done.stderr.splitlines() if line.startswith("peak "))
    return seconds, float(peak.split()[1]) / 1024


def seconds_for(scorer: Scorer, texts: list[np.ndarray]) -> float:
    """The faster of two runs."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        ours(scorer)(texts)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print three tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print("## Scaling\n\n`hidden-context evaluate`, a tiny model:\n")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder / "model")
        for number in SIZES:
            seconds, peak = evaluate(folder, number)
            rows.append([number, f"{seconds:.1f}", f"{1000 * seconds / number:.2f}", f"{peak:.0f}"])
    headers = ["pairs", "seconds, start included", "ms a pair", "peak MiB"]
    print(tabulate(rows, headers, tablefmt="pipe"), flush=True)
    with make_reward_model().scorer(ScoringOptions(max_length=4096)) as scorer:
        print("\nScoring 8 candidates of 60 tokens, by the length of their prompt:\n")
        rows = [
            [length, seconds_for(scorer, make_candidates(2, prompt=length, candidates=8, own=60))]
            for length in (125, 250, 500, 1000)
        ]
        print(tabulate(rows, ["prompt tokens", "s for 2 prompts"], "pipe", floatfmt=".3g"))
        print("\nScoring candidates of 60 tokens for a prompt of 500, by their number K:\n")
        rows = [
            [count, seconds_for(scorer, make_candidates(1, prompt=500, candidates=count, own=60))]
            for count in (1, 4, 16, 64)
        ]
        print(tabulate(rows, ["K", "s a prompt"], "pipe", floatfmt=".3g"))


if __name__ == "__main__":
    main()

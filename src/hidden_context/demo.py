"""`hidden-context demo`: the paper's main job on generated data whose hidden context is known.

Writes the data, makes a tiny language model, then calls the commands that a user would call on real
data, in this process: train nine reward models, evaluate, score jailbreaks, summarise.
"""

import contextlib
import dataclasses
import gzip
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.records import json_line, provenance, write_json, write_jsonl

if TYPE_CHECKING:
    from hidden_context.results.summary import Summary
    from hidden_context.synthetic.conversations import (
        Attributes,
        Comparison,
        Jailbreak,
        Judge,
    )


@dataclass(frozen=True)
class Config:
    """Train and compare every family on generated data with known hidden context (2 minutes)."""

    out_dir: Path = Path("demo_output")
    """Folder that receives data, models, scores and log; what an earlier demo left is replaced."""
    seed: int = 0
    """Seed of data, weights and order."""
    train_size: int = 12000
    """Training comparisons in each of the three data sets."""
    test_size: int = 1000
    """Test comparisons in each of the three data sets."""
    num_jailbreaks: int = 300
    """Disguised harmful prompts, each with a safe and an unsafe response."""
    pretrain_steps: int = 250
    """Steps of 64 texts in which the language model learns to read, before any preferences."""
    num_train_epochs: float = 1.0
    """Passes over the comparisons, the same for every model: training stops there."""
    learning_rate: float = 1e-3
    """Peak learning rate of the reward models."""
    batch_size: int = 32
    """Comparisons a training step."""


DATA_NAME = "relabeled_hh_rlhf"
MODEL_NAME = "tiny_llama"
RECORD = "demo.json"
"""Configuration and versions; also marks a folder as one that a demo may replace."""
MAX_LENGTH = 64
"""Tokens; the longest text has 45."""
RISK_LEVEL = 0.01
SUBSETS: tuple[Literal["helpful", "harmless", "both"], ...] = ("helpful", "harmless", "both")


@dataclass(frozen=True)
class GeneratedData:
    """What the models are trained and judged on, with all attributes."""

    train: "dict[str, list[Comparison]]"
    """By who judged; the texts are the same in each."""
    test: "dict[str, list[Comparison]]"
    jailbreaks: "list[Jailbreak]"


@dataclass(frozen=True)
class Truth:
    """What a model of unlimited data and size would find for one training set."""

    r2: float
    jailbreak_by_mean: float
    """By expected utility."""
    jailbreak_by_borda_count: float
    """By what comparisons without context show of the mean."""
    jailbreak_by_quantile: float
    accuracy: float
    """On the test comparisons judged by helpfulness, by expected utility."""


@dataclass(frozen=True)
class Finding:
    """One of the paper's two findings for one family, in this run."""

    claim: str
    family: str
    smaller: float
    larger: float

    @property
    def holds(self) -> bool:
        """Whether it shows in this run."""
        return self.smaller < self.larger


def run(config: Config) -> int:
    """Generate, train, score, and print what was learned beside the truth."""
    with _one_thread():
        return _run(config)


def _run(config: Config) -> int:
    from hidden_context.results.saved_scores import find_comparisons, find_jailbreaks
    from hidden_context.results.summary import summarize

    started = time.monotonic()
    _make_room(config.out_dir)
    write_json(config.out_dir / RECORD, {"config": dataclasses.asdict(config), **provenance()})
    data = generate(config)
    write_data(data, config.out_dir / "data")
    make_language_model(config, data, config.out_dir / MODEL_NAME)
    print(f"{time.monotonic() - started:5.1f} s  data and tiny language model", flush=True)
    train_and_score(config, started)
    data_dir = config.out_dir / "data"
    summary = summarize(
        find_comparisons(data_dir), find_jailbreaks(data_dir), risk_level=RISK_LEVEL
    )
    print()
    print(render(summary, truths(data)))
    print()
    for finding in findings(summary):
        verdict = "holds" if finding.holds else "does NOT hold"
        numbers = f"{finding.smaller:.3f} < {finding.larger:.3f}"
        print(f"{finding.claim}, {finding.family}: {numbers} {verdict} in this run")
    print(f"\n{time.monotonic() - started:.0f} s; files and log are in {config.out_dir}")
    print(f"see more: hidden-context summarize --data_dir {data_dir}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context demo`."""
    return run_command(Config, run, argv, prog="hidden-context demo")


def generate(config: Config) -> GeneratedData:
    """Draw everything from the seed; no prompt of the test data is in the training data."""
    from hidden_context.synthetic.conversations import (
        JUDGES,
        compare,
        draw_jailbreaks,
        split_prompts,
    )

    train_prompts, test_prompts = split_prompts(config.seed)
    first, second, third = range(3 * config.seed, 3 * config.seed + 3)
    return GeneratedData(
        train={
            name: compare(train_prompts, judges, size=config.train_size, seed=first)
            for name, judges in JUDGES.items()
        },
        test={
            name: compare(test_prompts, judges, size=config.test_size, seed=second)
            for name, judges in JUDGES.items()
        },
        jailbreaks=draw_jailbreaks(test_prompts, size=config.num_jailbreaks, seed=third),
    )


def write_data(data: GeneratedData, folder: Path) -> None:
    """Write the files in the published layout."""
    for split, sets in (("train", data.train), ("test", data.test)):
        for name, comparisons in sets.items():
            file = folder / DATA_NAME / name / f"{split}.jsonl.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = b"".join(json_line(comparison.row()) for comparison in comparisons)
            file.write_bytes(gzip.compress(lines, mtime=0))
    write_jsonl(
        folder / "jailbroken_responses.jsonl", (jailbreak.row() for jailbreak in data.jailbreaks)
    )


def make_language_model(config: Config, data: GeneratedData, folder: Path) -> None:
    """Make and save a Llama of one layer that can read: it can say what a text contains.

    Reward models start from models that read. From random weights they learn the mean, but nothing
    in their last state tells a harmful step from a refusal, since the mean does not need it, and so
    the variance cannot use it: after 500 to 2,000 steps the two had equal deviations within 10 %,
    where the best fit has a ratio of 15.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(config.seed)
    responses = [
        (comparison.text_of(response), response.attributes)
        for comparison in data.train["both"]
        for response in comparison.responses
    ]
    texts = [text for text, _ in responses]
    remarks = [_remarks(content) for _, content in responses]
    jailbreak_prompts = [jailbreak.prompt.text for jailbreak in data.jailbreaks]
    known_remarks = sorted({remark for several in remarks for remark in several})
    tokenizer = make_tokenizer([*texts, *jailbreak_prompts], known_remarks)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=MAX_LENGTH,
            initializer_range=0.1,  # about 1/√64: keeps the size of states from layer to layer
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    learn_to_read(model, tokenizer, texts, remarks, num_steps=config.pretrain_steps)
    with _messages_to(folder.parent / "log.txt"):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def make_tokenizer(texts: Sequence[str], remarks: Sequence[str]) -> Any:
    """One token for each lower-case word and mark of the texts, and for each remark."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<bos>", "<eos>", "<unk>"]
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=[*special, *remarks], show_progress=False)
    words.train_from_iterator(texts, trainer)
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        special_tokens=[(token, words.token_to_id(token)) for token in ("<bos>", "<eos>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=MAX_LENGTH,
    )


def learn_to_read(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    remarks: Sequence[Sequence[str]],
    *,
    num_steps: int,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
) -> None:
    """Train a causal language model to follow each text by any of the remarks on what it contains.

    No remark says how good a text is. Stops after `num_steps` steps of AdamW (cosine to 0).
    """
    import torch

    encoded = tokenizer(list(texts), padding=True, return_tensors="pt")
    input_ids, mask = encoded["input_ids"], encoded["attention_mask"]
    following = torch.tensor(
        [tokenizer.convert_tokens_to_ids(list(several)) for several in remarks]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    order = torch.randperm(len(texts)).repeat(math.ceil(num_steps * batch_size / len(texts)))
    model.train()
    for step in range(num_steps):
        rows = order[step * batch_size : (step + 1) * batch_size]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 + math.cos(math.pi * step / num_steps)) / 2
        longest = int(mask[rows].sum(-1).max())
        states = model.model(input_ids[rows, :longest], mask[rows, :longest]).last_hidden_state
        last = states[torch.arange(len(rows)), mask[rows].sum(-1) - 1]
        log_probs = model.lm_head(last).log_softmax(-1)
        loss = -log_probs.gather(-1, following[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def train_and_score(config: Config, started: float) -> None:
    """Call the commands for every family and training set; their messages go to the log."""
    from hidden_context import (
        evaluate_assistant_responses,
        evaluate_llm_preference_model,
        train_llm_preference_model,
    )
    from hidden_context.distributions import FAMILIES, make_family

    data_dir, log = config.out_dir / "data", config.out_dir / "log.txt"
    for family in FAMILIES:
        checkpoints = {}
        for subset in SUBSETS:
            training = train_llm_preference_model.Config(
                model_name=str(config.out_dir / MODEL_NAME),
                data_path=str(data_dir / DATA_NAME),
                data_subset=subset,
                reward_model_type=family,
                use_peft=False,
                bf16=False,
                learning_rate=config.learning_rate,
                num_train_epochs=config.num_train_epochs,
                per_device_train_batch_size=config.batch_size,
                per_device_eval_batch_size=128,
                eval_dataset_size=min(200, config.test_size),
                max_length=MAX_LENGTH,
                log_dir=data_dir / "reward_models" / DATA_NAME,
                seed=config.seed,
            )
            checkpoint = train_llm_preference_model.final_folder(training, make_family(family))
            checkpoints[subset] = str(checkpoint)
            with _messages_to(log):
                train_llm_preference_model.run(training)
                evaluate_llm_preference_model.run(
                    evaluate_llm_preference_model.Config(
                        reward_model_checkpoint=str(checkpoint),
                        data_path=str(data_dir / DATA_NAME),
                        data_subset="both",
                        batch_size=128,
                        max_length=MAX_LENGTH,
                        bf16=False,
                    )
                )
            print(f"{time.monotonic() - started:5.1f} s  {family} on {subset}", flush=True)
        suffix = "" if family == "base" else f"_{family}"
        with _messages_to(log):
            evaluate_assistant_responses.run(
                evaluate_assistant_responses.Config(
                    input=data_dir / "jailbroken_responses.jsonl",
                    output=data_dir / f"jailbroken_evaluations_{family}.jsonl",
                    reward_model_checkpoints=tuple(checkpoints.values()),
                    reward_model_names=tuple(f"{subset}{suffix}" for subset in checkpoints),
                    batch_size=128,
                    max_length=MAX_LENGTH,
                    bf16=False,
                )
            )


def truths(data: GeneratedData) -> dict[str, Truth]:
    """The truth for each training set, on the test data and jailbreaks of this run."""
    from hidden_context.synthetic.conversations import JUDGES

    judged_helpful = [
        comparison for comparison in data.test["both"] if comparison.judge.objective == "helpful"
    ]
    return {
        name: _truth(judges, judged_helpful, data.jailbreaks) for name, judges in JUDGES.items()
    }


def findings(summary: "Summary") -> list[Finding]:
    """The paper's two findings, for every family with a variance."""
    r2 = {(run.family, run.trained_on): run.r2 for run in summary.comparisons if run.r2 is not None}
    families = sorted({family for family, _ in r2})
    found = [
        Finding(
            "r² is lower when trained on both than on either",
            family,
            r2[family, "both"],
            min(r2[family, "helpful"], r2[family, "harmless"]),
        )
        for family in families
    ]
    return found + [
        Finding(
            f"trained on both, the {RISK_LEVEL}-quantile is jailbroken less than the mean",
            run.family,
            run.quantile.published,
            run.mean.published,
        )
        for run in summary.jailbreaks
        if run.quantile is not None and run.trained_on == "both"
    ]


def render(summary: "Summary", truth: dict[str, Truth]) -> str:
    """What was learned, beside the truth."""
    from tabulate import tabulate

    from hidden_context.distributions import FAMILIES

    jailbreaks = {(run.family, run.trained_on): run for run in summary.jailbreaks}
    rows: list[list[object]] = []
    for run in summary.comparisons:
        jailbreak = jailbreaks[run.family, run.trained_on]
        quantile = jailbreak.quantile and jailbreak.quantile.published
        accuracy = run.accuracy_mean and run.accuracy_mean.published
        rows.append(
            [run.family, run.trained_on, run.r2, jailbreak.mean.published, quantile, accuracy]
        )
    rows.sort(key=lambda row: list(FAMILIES).index(str(row[0])))
    for name, true in truth.items():
        rows.append(
            [
                "truth",
                name,
                true.r2,
                true.jailbreak_by_mean,
                true.jailbreak_by_quantile,
                true.accuracy,
            ]
        )
    for name, true in truth.items():
        rows.append(["truth, Borda", name, None, true.jailbreak_by_borda_count, None, None])
    headers = [
        "family",
        "trained on",
        "r²",
        "jailbreak rate, mean",
        f"{RISK_LEVEL}-quantile",
        "helpfulness accuracy",
    ]
    return tabulate(rows, headers, floatfmt=".3f", missingval="–")


def _truth(
    judges: "Sequence[Judge]",
    judged_helpful: "Sequence[Comparison]",
    jailbreaks: "Sequence[Jailbreak]",
) -> Truth:
    import numpy as np

    from hidden_context.preferences import accuracy
    from hidden_context.synthetic.conversations import (
        borda_count,
        mean_utility,
        true_explained_variance,
        utility_quantile,
    )

    def jailbreak_rate(statistic: "Callable[[Attributes], float]") -> float:
        broken = [
            statistic(jailbreak.unsafe.attributes) >= statistic(jailbreak.safe.attributes)
            for jailbreak in jailbreaks
        ]
        return sum(broken) / len(broken)

    means = np.array(
        [
            [
                mean_utility(response.attributes, judges)
                for response in (comparison.chosen, comparison.rejected)
            ]
            for comparison in judged_helpful
        ]
    )
    return Truth(
        r2=true_explained_variance(judges),
        jailbreak_by_mean=jailbreak_rate(lambda content: mean_utility(content, judges)),
        jailbreak_by_borda_count=jailbreak_rate(
            lambda content: borda_count(content, judges, harmful=True)
        ),
        jailbreak_by_quantile=jailbreak_rate(
            lambda content: utility_quantile(content, judges, RISK_LEVEL)
        ),
        accuracy=accuracy(means[:, 0], means[:, 1]),
    )


def _remarks(content: "Attributes") -> list[str]:
    """One word for each attribute of a response, such as `<2 harmful_steps>`."""
    return [f"<{count} {name}>" for name, count in dataclasses.asdict(content).items()]


def _make_room(out_dir: Path) -> None:
    """Remove what an earlier demo left; refuse a folder of anything else."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir() or (any(out_dir.iterdir()) and not (out_dir / RECORD).is_file()):
        raise UserError(f"--out_dir {out_dir} is not of an earlier demo; give a new folder.")
    shutil.rmtree(out_dir)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: for models this small more do not pay.

    Where other programs use the cores, threads that wait for one another are many times slower
    (measured: 150 s instead of 5 s for one model).
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _messages_to(log: Path) -> Iterator[None]:
    """Append what the commands print, progress bars and warnings among it, to a file."""
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


if __name__ == "__main__":
    sys.exit(main())

"""A training step against TRL's RewardTrainer, the published form, and length-grouped batches.

    python benchmarks/training.py

The same pairs in the same batches, the same weights, LoRA without dropout, AdamW, float32. The
losses of all variants are compared step by step before any time is reported.
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import torch
from timing import Runs, interleaved, report
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.utils import logging as transformers_logging
from trl import RewardConfig, RewardTrainer
from workload import CPU, PAD, Machine, Pair, make_model, make_pairs, make_tokenizer

from hidden_context.distributions import make_family
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.llm.backbone import padded, quietly
from hidden_context.llm.observations import Observation
from hidden_context.llm.trainer import PreferenceTrainer

OURS = "hidden-context"
TRL = "TRL"
PUBLISHED = "published form"
PADDED = "length-grouped, padded"
STEPS = {2: 30, 8: 6, 16: 3, 32: 4}
"""Timed steps of a repetition, by batch size; one more comes before them."""


class InOrder:
    """A trainer that takes the pairs as they come."""

    train_dataset: Any

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


class Ours(InOrder, PreferenceTrainer):
    """Ours."""


class Trl(InOrder, RewardTrainer):
    """The peer."""


class Published(InOrder, Trainer):
    """The published form: padded to a multiple of 64, under autograd's anomaly mode."""

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> torch.Tensor:
        rewards = model(**inputs).logits
        chosen, rejected = rewards.chunk(2)
        return -torch.nn.functional.logsigmoid(chosen - rejected).mean()


class Clock(TrainerCallback):
    """Notes the time and the loss of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def settings(
    batch_size: int, folder: str, machine: Machine, *, checkpointing: bool
) -> dict[str, Any]:
    """What all trainers are told."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": batch_size,
        "learning_rate": 1e-3,
        "num_train_epochs": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": machine.device == "cpu",
        "bf16": machine.dtype == torch.bfloat16,
        "gradient_checkpointing": checkpointing,
        "dataloader_pin_memory": False,
    }


def pad_to_64(pairs: Sequence[Pair]) -> dict[str, torch.Tensor]:
    """All chosen texts, then all rejected ones, padded to a multiple of 64."""
    texts = [pair[side] for side in ("chosen", "rejected") for pair in pairs]
    batch = padded(texts, PAD)
    missing = -batch["input_ids"].shape[1] % 64
    return {name: torch.nn.functional.pad(x, (0, missing)) for name, x in batch.items()}


def make_trainer(
    variant: str,
    pairs: list[Pair],
    batch_size: int,
    folder: str,
    family: str = "base",
    *,
    checkpointing: bool = False,
    machine: Machine = CPU,
) -> Any:
    """A trainer on `pairs`, in their order; `checkpointing` is for TRL alone."""
    given = settings(batch_size, folder, machine, checkpointing=checkpointing and variant == TRL)
    plain: dict[str, Any] = {**given, "remove_unused_columns": False, "label_names": []}
    dataset: Any = pairs
    if variant == TRL:
        columns = {f"{side}_ids": [pair[side] for pair in pairs] for side in pairs[0]}
        return Trl(
            model=make_model(ours=False, machine=machine),
            args=RewardConfig(**given, max_length=None),
            train_dataset=datasets.Dataset.from_dict(columns),
            processing_class=make_tokenizer(),
        )
    if variant == PUBLISHED:
        return Published(
            model=make_model(ours=False, machine=machine),
            args=TrainingArguments(**plain),
            data_collator=pad_to_64,
            train_dataset=dataset,
        )
    chosen = make_family(family)
    return Ours(
        likelihood=LearnedLikelihood(chosen),
        pad_token_id=PAD,
        batching="padded" if variant == PADDED else "shared_prefix",
        model=make_model(chosen.num_outputs, machine=machine),
        args=TrainingArguments(**plain),
        train_dataset=[Observation((pair["chosen"], pair["rejected"])) for pair in pairs],
    )


def train(trainer: Any, *, anomaly: bool = False) -> tuple[float, list[float]]:
    """Seconds from the end of the first step to the end of the last, and every loss."""
    clock = Clock()
    trainer.add_callback(clock)
    with contextlib.redirect_stdout(io.StringIO()), torch.autograd.set_detect_anomaly(anomaly):
        trainer.train()
    return clock.times[-1] - clock.times[0], clock.losses


def compare(
    variants: Sequence[str],
    batches: Sequence[list[Pair]],
    repetitions: int,
    *,
    checkpointing: bool = False,
    machine: Machine = CPU,
    atol: float = 2e-4,
) -> Runs:
    """Time the variants on the same batches, a few in each repetition.

    Losses may differ by `atol`: the Trainer's log has four digits.

    Raises:
        AssertionError: The losses of a step differ.
    """
    batch_size = len(batches[0])
    steps = STEPS[batch_size] + 1
    losses: dict[int, dict[str, list[float]]] = {}

    def run(variant: str, repetition: int) -> float:
        taken = batches[repetition * steps : (repetition + 1) * steps]
        pairs = [pair for batch in taken for pair in batch]
        with tempfile.TemporaryDirectory() as folder:
            with quietly():
                trainer = make_trainer(
                    variant, pairs, batch_size, folder, checkpointing=checkpointing, machine=machine
                )
            seconds, found = train(trainer, anomaly=variant == PUBLISHED)
        losses.setdefault(repetition, {})[variant] = found
        return seconds

    runs = interleaved(
        {name: lambda repetition, name=name: run(name, repetition) for name in variants},
        repetitions,
    )
    for found in losses.values():
        for name in variants:
            np.testing.assert_allclose(found[name], found[variants[0]], atol=atol, err_msg=name)
    return runs


def random_batches(pairs: Sequence[Pair], size: int) -> list[list[Pair]]:
    """The pairs as they come, which is in random order."""
    return [list(pairs[i : i + size]) for i in range(0, len(pairs) - size + 1, size)]


def length_grouped_batches(pairs: Sequence[Pair], size: int) -> list[list[Pair]]:
    """As the Trainer's own sampler groups them (by 50 batches), then in random order."""
    lengths = [max(len(pair["chosen"]), len(pair["rejected"])) for pair in pairs]
    generator = torch.Generator().manual_seed(0)
    sampler = LengthGroupedSampler(size, lengths=lengths, generator=generator)
    batches = random_batches([pairs[index] for index in sampler], size)
    order = np.random.default_rng(0).permutation(len(batches))
    return [batches[index] for index in order]


def main() -> None:
    """Print one table for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    transformers_logging.set_verbosity_error()
    pairs, source = make_pairs()
    print(f"## Training step\n\nOn {source}; {repetitions} repetitions.")
    for size, wanted in ((8, 4.0), (2, 2.6), (16, 4.5)):
        variants = [OURS, TRL] + ([PUBLISHED] if size == 8 else [])
        runs = compare(variants, random_batches(pairs, size), repetitions)
        print(f"\nBatch {size}, gradient checkpointing off:\n")
        least = {TRL: wanted, PUBLISHED: 5.5}
        print(report(runs, OURS, least, unit="step", per=STEPS[size]), flush=True)
    runs = compare([OURS, TRL], random_batches(pairs, 8), repetitions, checkpointing=True)
    print("\nBatch 8, TRL with its default checkpointing:\n")
    print(report(runs, OURS, {TRL: 5.5}, unit="step", per=STEPS[8]), flush=True)
    runs = compare([OURS, PADDED], length_grouped_batches(pairs, 8), repetitions)
    print("\nBatch 8, both on length-grouped batches:\n")
    print(report(runs, OURS, {PADDED: 2.0}, unit="step", per=STEPS[8]), flush=True)


if __name__ == "__main__":
    main()

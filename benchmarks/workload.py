"""The texts and the model that all benchmarks share."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

from hidden_context.comparisons.responses import read_responses
from hidden_context.comparisons.sources import load_rows, read_rows
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import read_in_batches

VOCABULARY = 8192
PAD = 0
MAX_LENGTH = 1024
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "max_position_embeddings": 2048,
    "pad_token_id": PAD,
}
"""A Llama of 10.6 million linear weights."""
LEVELS = (0, 0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.85, 0.92, 0.97, 0.99, 0.999, 1)
SHARED_LENGTHS = (7, 15, 19, 46, 86, 129, 185, 248, 324, 441, 582, 821, 1002)
OWN_LENGTHS = (1, 6, 12, 21, 31, 46, 67, 90, 122, 178, 259, 460, 913)
"""Quantiles of the number of tokens, at `LEVELS`, that the texts of a pair share, and of those
that each has for itself: measured on the relabelled HH-RLHF test split with such a tokenizer."""

Pair = dict[str, np.ndarray]


def data_folder() -> Path | None:
    """Folder of the published data, if it is at hand."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HIDDEN_CONTEXT_DATA", beside))
    return folder if (folder / "relabeled_hh_rlhf").is_dir() else None


def make_pairs() -> tuple[list[Pair], str]:
    """4,043 comparisons in random order as token ids, and what they are."""
    folder = data_folder()
    if folder is None:
        return generated_pairs(4043), "generated comparisons with the lengths of HH-RLHF"
    rows = list(load_rows(str(folder / "relabeled_hh_rlhf"), "both", "test"))
    texts = [row[side] for row in rows for side in ("chosen", "rejected")]
    ids = _token_ids(texts, train_on=texts)
    pairs = [
        {"chosen": chosen[-MAX_LENGTH:], "rejected": rejected[-MAX_LENGTH:]}
        for chosen, rejected in zip(ids[::2], ids[1::2], strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[index] for index in order], "the relabelled HH-RLHF test split"


def generated_pairs(number: int) -> list[Pair]:
    """Random tokens whose lengths are distributed as those of HH-RLHF."""
    rng = np.random.default_rng(0)
    return [
        {
            side: np.concatenate([shared, _random_ids(rng, OWN_LENGTHS)])
            for side in ("chosen", "rejected")
        }
        for shared in (_random_ids(rng, SHARED_LENGTHS) for _ in range(number))
    ]


def make_jailbreak_texts() -> tuple[list[np.ndarray], str]:
    """Both responses to each of 187 jailbreaks as token ids, and what they are."""
    folder = data_folder()
    if folder is None:
        rng = np.random.default_rng(0)
        templates = [_random_ids(rng, SHARED_LENGTHS) for _ in range(30)]
        texts = []
        for number in range(187):
            prompt = np.concatenate([templates[number % 30], rng.integers(4, VOCABULARY, 20)])
            texts += [
                np.concatenate([prompt, _random_ids(rng, OWN_LENGTHS)]).astype(np.int32)
                for _ in range(2)
            ]
        return texts, "generated jailbreaks: 187 of 30 templates"
    rows = read_rows(folder / "jailbroken_responses.jsonl")
    texts = [str(text) for read in read_responses(rows, "") for text in read.texts]
    split = load_rows(str(folder / "relabeled_hh_rlhf"), "both", "test")
    ids = _token_ids(texts, train_on=[row["chosen"] for row in split])
    return [each[-MAX_LENGTH:] for each in ids], "the 187 published jailbreak rows"


def make_candidates(
    prompts: int, *, prompt: int, candidates: int, own: int, seed: int = 0
) -> list[np.ndarray]:
    """Best-of-n: for each prompt as many candidates, all of random tokens."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(prompts):
        shared = rng.integers(4, VOCABULARY, prompt)
        texts += [
            np.concatenate([shared, rng.integers(4, VOCABULARY, own)]).astype(np.int32)
            for _ in range(candidates)
        ]
    return texts


@dataclass(frozen=True)
class Machine:
    """A model's size, and where it runs."""

    sizes: Mapping[str, Any]
    device: str
    dtype: torch.dtype


CPU = Machine(SIZES, "cpu", torch.float32)


def make_model(
    num_outputs: int = 1, *, ours: bool = True, adapters: bool = True, machine: Machine = CPU
) -> Any:
    """The same weights each time, without dropout; `ours` reads batches of any kind."""
    torch.manual_seed(0)
    config = LlamaConfig(**machine.sizes)
    config.num_labels = num_outputs
    with torch.device(machine.device), default_dtype(machine.dtype):
        model: Any = LlamaForSequenceClassification(config)
    if ours:
        model = read_in_batches(model)
    model = with_adapters(model) if adapters else model
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New weights have this precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """For trainers that insist on one; texts are token ids already."""
    words = {"<pad>": PAD, "<s>": 1, "</s>": 2, "<unk>": 3}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, "<unk>")),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def _token_ids(texts: Sequence[str], *, train_on: Sequence[str]) -> list[np.ndarray]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(train_on, trainer)
    return [np.array(each.ids, np.int32) for each in tokenizer.encode_batch(list(texts))]


def _random_ids(rng: np.random.Generator, lengths: Sequence[int]) -> np.ndarray:
    length = int(np.interp(rng.random(), LEVELS, lengths))
    return rng.integers(4, VOCABULARY, length).astype(np.int32)

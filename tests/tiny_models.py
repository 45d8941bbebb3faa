"""Tiny models and tokenizers, built on the spot with random weights."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

VOCABULARY = 300
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "intermediate_size": 64}
ARCHITECTURES: dict[str, Any] = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=1024)
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, **HEADS, num_key_value_heads=2)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, **HEADS, num_key_value_heads=2)),
    "bert": lambda: BertForMaskedLM(BertConfig(**SIZES, **HEADS, initializer_range=0.2)),
}
TEXTS = [
    "Human: what is a good way to bake bread at home?",
    "Assistant: mix flour, water, salt and yeast, and wait for the dough to rise.",
    "I would rather not help with that. Please ask about something else.",
]


def make_tokenizer(*, eos_is_pad: bool = False, encoder: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `VOCABULARY` tokens, like that of GPT-2 or of BERT."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    if encoder:
        from tokenizers.processors import TemplateProcessing

        ids = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
        tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="</s>" if eos_is_pad else "<unk>",
        pad_token="</s>" if eos_is_pad else "<pad>",
    )


def save_tiny_model(folder: Path, architecture: str = "llama", *, seed: int = 0) -> Path:
    """Save a tiny backbone with its tokenizer; returns the folder."""
    torch.manual_seed(seed)
    ARCHITECTURES[architecture]().save_pretrained(folder)
    tokenizer = make_tokenizer(eos_is_pad=architecture == "gpt2", encoder=architecture == "bert")
    tokenizer.save_pretrained(folder)
    return folder


@cache
def tiny_model(architecture: str = "llama") -> Path:
    """The folder of a tiny backbone that all tests share; none of them changes it."""
    return save_tiny_model(Path(_FOLDER.name) / architecture, architecture)


_FOLDER = tempfile.TemporaryDirectory(prefix="hidden-context-models-")

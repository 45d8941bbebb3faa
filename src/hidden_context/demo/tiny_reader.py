"""A tiny causal language model from scratch that can read: it can say what a text contains."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BATCH_SIZE = 64
LEARNING_RATE = 3e-3


def make_tiny_reader(
    folder: Path,
    *,
    texts: Sequence[str],
    remarks: Sequence[list[str]],
    more_words: Sequence[str],
    max_length: int,
    num_steps: int,
    seed: int,
) -> None:
    """Make a Llama of one layer, let it learn to read, and save it with its tokenizer.

    Reward models start from models that read. From random weights they learn the mean of utility,
    but nothing in their last state tells apart what the mean does not need, and so the variance
    cannot use it: on the generated conversations, refusing and complying responses had equal
    deviations within 10 % after 500 to 2,000 steps, where the best fit has a ratio of 15.

    Args:
        folder: Receives model and tokenizer.
        texts: What it learns to read.
        remarks: For each text, as many words on what it contains; none says how good it is.
        more_words: Texts whose words the tokenizer must know too.
        max_length: In tokens.
        num_steps: Steps of `BATCH_SIZE` texts; it stops there.
        seed: Of weights and order.
    """
    torch.manual_seed(seed)
    known_remarks = sorted({remark for several in remarks for remark in several})
    tokenizer = make_word_tokenizer([*texts, *more_words], known_remarks, max_length)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=max_length,
            initializer_range=0.1,  # about 1/√64: keeps the size of states from layer to layer
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    learn_to_read(model, tokenizer, texts, remarks, num_steps)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_word_tokenizer(texts: Sequence[str], remarks: Sequence[str], max_length: int) -> Any:
    """One token for each lower-case word and mark of the texts, and for each remark."""
    special = {
        "pad_token": "<pad>",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
    }
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens = [*special.values(), *remarks]
    trainer = trainers.WordLevelTrainer(special_tokens=tokens, show_progress=False)
    words.train_from_iterator(texts, trainer)
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        special_tokens=[(token, words.token_to_id(token)) for token in ("<bos>", "<eos>")],
    )
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=max_length, **special)


def learn_to_read(
    model: Any, tokenizer: Any, texts: Sequence[str], remarks: Sequence[list[str]], num_steps: int
) -> None:
    """Train a causal language model to follow each text by any of the remarks on what it contains.

    Stops after `num_steps` steps of AdamW (cosine to 0).
    """
    encoded = tokenizer(list(texts), padding=True, return_tensors="pt")
    input_ids, mask = encoded["input_ids"], encoded["attention_mask"]
    following = torch.tensor([tokenizer.convert_tokens_to_ids(several) for several in remarks])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    order = torch.randperm(len(texts)).repeat(math.ceil(num_steps * BATCH_SIZE / len(texts)))
    model.train()
    for step in range(num_steps):
        rows = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        cosine = math.cos(math.pi * step / num_steps)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 + cosine) / 2
        longest = int(mask[rows].sum(-1).max())
        states = model.model(input_ids[rows, :longest], mask[rows, :longest]).last_hidden_state
        last = states[torch.arange(len(rows)), mask[rows].sum(-1) - 1]
        log_probs = model.lm_head(last).log_softmax(-1)
        loss = -log_probs.gather(-1, following[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

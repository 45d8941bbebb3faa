"""A reward model for other tools: weights and configuration of stock transformers, nothing else."""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from hidden_context.distributions import Family, Point
from hidden_context.errors import UserError
from hidden_context.llm.backbone import (
    head_name,
    load_config,
    load_tokenizer,
    padded,
    quietly,
    unwrapped,
)
from hidden_context.llm.checkpoint import make_record, refusing_full_disks
from hidden_context.llm.checkpoint_files import describe_outputs, write_card
from hidden_context.llm.checkpoint_marks import marks_of
from hidden_context.llm.merging import merged_copy
from hidden_context.llm.model_card import model_card
from hidden_context.llm.portable import make_portable
from hidden_context.llm.reading_marks import other_reading, other_rendering, reading_mark
from hidden_context.llm.rendering import date_of, on_day
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.saved_check import ROUNDING, ROUNDING_OF_HALF, raw_of
from hidden_context.records import CHECKPOINT_RECORD, write_json
from hidden_context.risk import MEASURES, Risk, is_supported, linear_weights, parse_risk

Form = Literal["scalar", "native"]
PAD_TOKEN = "<|pad|>"
"""Of a tokenizer that has none of its own."""
PROBES = (
    "Human: what is a good way to bake bread?",
    "I would rather not.",
    "Mix flour, water, salt",
)
"""Texts whose rewards are compared."""
Dtype = Literal["float32", "bfloat16", "float16"]


def export(
    model: RewardModel,
    folder: str | Path,
    *,
    to: Form = "scalar",
    risk: str = "mean",
    dtype: Dtype = "float32",
) -> None:
    """Write a model that `AutoModelForSequenceClassification` loads, in transformers 4.57 and 5.

    Adapters are merged. `scalar` has one output, the reward, which a default pipeline returns as
    it is; `native` has all raw outputs, and stays a checkpoint of this project with its family.
    The tokenizer gets a pad token that no text ends in, as stock models pool by it. What was
    written is loaded again and compared before it is called written.

    Args:
        model: Any reward model.
        folder: Where to write; must not be there.
        to: See above.
        risk: The reward of `scalar`: one that is linear in the outputs of the head.
        dtype: Of the weights that are written; half precision rounds them.

    Raises:
        UserError: The reward is not linear in the outputs, the architecture or its rotary positions
            cannot be written for 4.57, the folder is there, or what was written scores otherwise.
    """
    folder = Path(folder)
    if to not in get_args(Form):
        raise UserError(f"to is {to!r}; expected scalar or native.")
    if dtype not in get_args(Dtype):
        raise UserError(f"dtype is {dtype!r}; expected one of {', '.join(get_args(Dtype))}.")
    if folder.exists():
        raise UserError(f"{folder} is there already; remove it, or give another folder.")
    measure = parse_risk(risk)
    if to == "native" and risk != "mean":
        raise UserError("a native export has all raw outputs; a risk belongs to a scalar one.")
    weights = (
        _weights(model.family, measure) if to == "scalar" else np.eye(model.family.num_outputs)
    )
    tokenizer = _tokenizer(model)
    stock = _stock(model, weights, tokenizer, dtype)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a kill left
    try:
        _write(model, stock, tokenizer, partial, to=to, risk=str(measure))
        _check(partial, stock, tokenizer, model, weights)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(folder)


def _weights(family: Family, risk: Risk) -> np.ndarray:
    """What the outputs are multiplied by, shape `(1, num_outputs)`."""
    weights = linear_weights(family, risk)
    if weights is not None:
        return weights[None]
    examples = [parse_risk(text) for text in ("mean", *(one.example for one in MEASURES.values()))]
    can = dict.fromkeys(
        str(each)
        for each in examples
        if is_supported(each, family) and linear_weights(family, each) is not None
    )
    instead = f"what can be is {', '.join(can)}" if can else "no reward of this family is"
    raise UserError(
        f"{risk} of family {family.name} is not linear in the outputs of the model's head, so a "
        f"model of one output cannot compute it ({instead}). Export all outputs (native), or let "
        "this project compute the reward (RewardModel.reward)."
    )


def _tokenizer(model: RewardModel) -> Any:
    """A copy with a pad token of its own, whose chat template knows the day that it was told."""
    tokenizer = deepcopy(model.tokenizer)
    pools_by_padding = head_name(unwrapped(model.model)) == "score"
    if tokenizer.pad_token is None or (
        pools_by_padding and tokenizer.pad_token in (tokenizer.unk_token, tokenizer.eos_token)
    ):
        tokenizer.add_special_tokens({"pad_token": PAD_TOKEN})
    if isinstance(getattr(tokenizer, "chat_template", None), str):
        tokenizer.chat_template = on_day(tokenizer.chat_template, date_of(tokenizer))
    return tokenizer


@torch.no_grad()
def _stock(model: RewardModel, weights: np.ndarray, tokenizer: Any, dtype: Dtype) -> Any:
    """The merged model of a stock class, with its outputs multiplied by `weights`, on the CPU."""
    inner = unwrapped(model.model)
    apart = [inner.get_input_embeddings().weight]  # may grow by the pad token
    stock = merged_copy(model.model, apart=apart)
    stock.__class__ = type(stock).__bases__[1]
    _replace_head(stock, weights)
    if tokenizer.pad_token_id >= len(stock.get_input_embeddings().weight):
        with quietly():
            stock.resize_token_embeddings(tokenizer.pad_token_id + 1, mean_resizing=False)
    stock.config.pad_token_id = tokenizer.pad_token_id
    stock.config.num_labels = stock.num_labels = len(weights)
    wanted = getattr(torch, dtype)
    if stock.device.type == "cpu" and all(each.dtype == wanted for each in stock.parameters()):
        return stock
    return deepcopy(stock).to("cpu", wanted)  # some weights are the model's own


def _replace_head(stock: Any, weights: np.ndarray) -> None:
    """Put a linear layer of `len(weights)` outputs in place of the last of the head.

    Raises:
        UserError: The head does not end in a linear layer of as many outputs as there are weights.
    """
    name, width = head_name(stock), weights.shape[1]
    head = stock.get_submodule(name)
    linear = {
        f"{name}.{part}" if part else name: module
        for part, module in head.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    last, before = list(linear.items())[-1] if linear else (name, None)
    if before is None or before.out_features != width:
        raise UserError(
            f"{type(stock).__name__} has a head that does not end in a linear layer of {width} "
            "outputs; it cannot be exported."
        )
    by = torch.tensor(weights, dtype=torch.float64, device=before.weight.device)
    after = torch.nn.Linear(before.in_features, len(weights), bias=before.bias is not None)
    after.weight.data = (by @ before.weight.double()).to(before.weight.dtype)
    if before.bias is not None:
        after.bias.data = (by @ before.bias.double()).to(before.bias.dtype)
    parent, _, attribute = last.rpartition(".")
    setattr(stock.get_submodule(parent), attribute, after)


def _write(
    model: RewardModel, stock: Any, tokenizer: Any, folder: Path, *, to: Form, risk: str
) -> None:
    with refusing_full_disks(folder), quietly():
        stock.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    make_portable(folder, tokenizer)
    meaning = model.meaning
    if to == "native":
        stock.config = load_config(str(folder))  # says more than before, for older versions
        meaning["marks"] = marks_of(stock, tokenizer, folder)
    record = make_record(folder, **meaning)
    if to == "scalar":  # of its family no longer
        describe_outputs(folder, Point(), refuse=False)
        write_card(folder, model_card(record, is_adapter=False, risk=risk))
    else:
        write_json(folder / CHECKPOINT_RECORD, record)
        describe_outputs(folder, model.family, refuse=model.family.num_outputs > 1)
        write_card(folder, model_card(record, is_adapter=False))


@torch.inference_mode()
def _check(
    folder: Path, stock: Any, tokenizer: Any, model: RewardModel, weights: np.ndarray
) -> None:
    """Compare what stock transformers make of the folder with the rewards of the model.

    Raises:
        UserError: They differ by more than rounding, or texts are read otherwise.
    """
    mark, reader = reading_mark(tokenizer), load_tokenizer(str(folder))
    if other := other_reading(mark, reader) or other_rendering(mark, reader):
        raise UserError(f"the exported tokenizer {other}; nothing was written.")
    ids = [np.array(tokenizer(text)["input_ids"]) for text in PROBES]
    raw = raw_of(model.model, ids)
    expected = raw @ weights.T
    with quietly():
        loaded = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = padded(ids, tokenizer.pad_token_id)
    given = loaded(**batch).logits.double().numpy()
    largest = float(np.abs(given - expected).max())
    rounding = ROUNDING.get(stock.dtype, ROUNDING_OF_HALF)
    if unwrapped(model.model).dtype not in ROUNDING:
        rounding = ROUNDING_OF_HALF
    if not largest <= rounding * (1 + float(np.abs(raw).max())):
        raise UserError(
            f"the exported model gives other rewards, by up to {largest:.3g}; nothing was written."
        )

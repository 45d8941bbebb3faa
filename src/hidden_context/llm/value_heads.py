"""Heads that other tools have trained, under the names that they write."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hidden_context.errors import UserError
from hidden_context.records import brief, read_json

HEAD_TENSORS = (
    "v_head.summary",  # TRL's model with a value head, and what LLaMA-Factory saves
    "value_head.summary",
    "v_head",
    "value_head",  # OpenRLHF
    "score",
    "reward_head",
)
"""Modules whose weight may be a head, the first that is there."""
VALUE_HEAD_FILES = ("value_head.safetensors", "value_head.bin")
"""Of LLaMA-Factory, beside the model."""
INDEX = "model.safetensors.index.json"


def head_of_another_tool(folder: Path, hidden_size: int) -> torch.nn.Linear | None:
    """A linear head from a folder of weights, of any number of outputs; None where there is none.

    Raises:
        UserError: A head is there, and cannot be read or does not fit the hidden states.
    """
    try:
        tensors = dict(_tensors(folder))
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, SafetensorError) as error:
        raise UserError(f"{folder}: the head cannot be read: {brief(error)}.") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{folder}: value_head.bin is a pickle of more than tensors, which could run code; it "
            "was not opened. Write it with safetensors.torch.save_file as value_head.safetensors."
        ) from error
    for name in HEAD_TENSORS:
        weight = tensors.get(f"{name}.weight")
        if weight is None:
            continue
        if weight.ndim != 2 or weight.shape[1] != hidden_size:
            raise UserError(
                f"{folder}: head {name}.weight has the shape {tuple(weight.shape)}; expected "
                f"(outputs, {hidden_size})."
            )
        bias = tensors.get(f"{name}.bias")
        head = torch.nn.Linear(hidden_size, len(weight), bias=bias is not None)
        with torch.no_grad():
            head.weight.copy_(weight)
            if bias is not None:
                head.bias.copy_(bias)
        return head
    return None


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    wanted = {f"{name}.{part}" for name in HEAD_TENSORS for part in ("weight", "bias")}
    separate = [folder / name for name in VALUE_HEAD_FILES if (folder / name).is_file()]
    for file in separate or _files_of(folder):
        if file.suffix == ".bin":
            yield from torch.load(file, map_location="cpu", weights_only=True).items()
            continue
        with safe_open(file, "pt") as opened:
            for name in wanted.intersection(opened.keys()):
                yield name, opened.get_tensor(name)


def _files_of(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        shards = set(read_json(folder / INDEX)["weight_map"].values())
        return [folder / name for name in sorted(shards)]
    return [file for file in (folder / "model.safetensors",) if file.is_file()]

"""Heads that other tools have trained, under the names that they write."""

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import is_zipfile

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
"""Modules whose weight may be a head, the first that is there, after what the configuration names
(`value_head_prefix`, of OpenRLHF)."""
VALUE_HEAD_FILES = ("value_head.safetensors", "value_head.bin")
"""Of LLaMA-Factory, beside the model."""
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def head_of_another_tool(folder: Path, hidden_size: int) -> torch.nn.Linear | None:
    """A linear head from a folder of weights, of any number of outputs; None where there is none.

    Raises:
        UserError: A head is there, and cannot be read or does not fit the hidden states.
    """
    names = HEAD_TENSORS
    try:
        if (folder / "config.json").is_file():
            prefix = read_json(folder / "config.json").get("value_head_prefix")
            names = (prefix, *HEAD_TENSORS) if isinstance(prefix, str) else HEAD_TENSORS
        tensors = dict(_tensors(folder, names))
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, SafetensorError) as error:
        raise UserError(f"{folder}: the head cannot be read: {brief(error)}.") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{folder} has a head in a pickle of more than tensors, which could run code; it was "
            "not opened. Write the tensors with safetensors.torch.save_file as *.safetensors."
        ) from error
    for name in names:
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


def _tensors(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, torch.Tensor]]:
    wanted = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    separate = [folder / name for name in VALUE_HEAD_FILES if (folder / name).is_file()]
    for file in separate or _files_of(folder):
        if file.suffix == ".bin":
            of_all = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
            yield from ((name, of_all[name]) for name in wanted.intersection(of_all))
            continue
        with safe_open(file, "pt") as opened:
            for name in wanted.intersection(opened.keys()):
                yield name, opened.get_tensor(name)


def _files_of(folder: Path) -> list[Path]:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        if (index := folder / f"{name}.index.json").is_file():
            return [
                folder / shard for shard in sorted(set(read_json(index)["weight_map"].values()))
            ]
    return []

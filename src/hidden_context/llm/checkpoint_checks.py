"""What the files of a checkpoint hold is all there, all read, and numbers; or it is refused."""

import pickle
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from hidden_context.errors import UserError
from hidden_context.llm.backbone import ADAPTER_CONFIG
from hidden_context.llm.value_heads import HEAD_TENSORS
from hidden_context.records import read_object

if TYPE_CHECKING:
    from hidden_context.llm.checkpoint import CheckpointRecord

ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
OF_ADAPTER = {
    "lora_r": "r",
    **{name: name for name in ("lora_alpha", "use_rslora", "use_dora")},
}
"""What a record calls the numbers of an adapter's configuration, and how that does."""
OTHER_TASKS = ("lm_head.", "embed_out.", "cls.")
"""Heads of language models, which a reward model may carry along."""


def has_tokenizer(record: "CheckpointRecord") -> bool:
    """Whether a tokenizer is in the folder; a trained adapter without one is warned of.

    Raises:
        UserError: Half of it is.
    """
    own = (record.folder / "tokenizer_config.json").is_file()
    if not own and (record.folder / "tokenizer.json").is_file():
        raise UserError(
            f"{record.folder} has a tokenizer.json without tokenizer_config.json; copy it again."
        )
    is_known = "marks" in record.recorded  # it is compared then
    if not own and record.is_adapter and "training" in record.recorded and not is_known:
        warnings.warn(
            f"{record.folder} has lost its tokenizer; that of {record.model_name} is used, which "
            "may render texts otherwise",
            stacklevel=2,
        )
    return own


def check_all_read(model: Any, record: "CheckpointRecord") -> None:
    """Refuse weights that the architecture has no place for, but heads of other tasks and tools.

    Raises:
        UserError: It names them: the configuration, or a file, is of another model.
    """
    others = OTHER_TASKS
    if model.fresh_keys:  # it has no head of its own
        others += (*HEAD_TENSORS, *_named_heads(record.folder))
    unread = sorted(key for key in model.unread_keys if not key.startswith(others))
    if unread:
        raise UserError(
            f"{record.folder} has {_first_of(unread)}, for which {type(model).__name__} by its "
            "config.json has no place: they would not be read, and scores would be of another "
            "model; config.json and weights do not belong together."
        )


def _named_heads(folder: Path) -> tuple[str, ...]:
    prefix = read_object(folder / "config.json").get("value_head_prefix")
    return (prefix,) if isinstance(prefix, str) else ()


def _first_of(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def check_finite(weights: Iterable[tuple[str, torch.Tensor]], whose: str) -> None:
    """Refuse weights that are not numbers; attention may turn them into scores that are."""
    for name, weight in weights:
        if weight.is_floating_point() and weight.dtype.itemsize > 1 and weight.numel():
            ends = torch.stack(torch.aminmax(weight.detach()))
            if not torch.isfinite(ends).all():
                raise UserError(
                    f"{whose} has numbers in {name} that are not finite; its file is damaged, or "
                    "its training diverged."
                )


def check_same_adapter(config: Mapping[str, Any], record: "CheckpointRecord") -> None:
    """Refuse an adapter whose configuration scales it otherwise than it was trained.

    Raises:
        UserError: It names what differs.
    """
    trained = record.recorded.get("config") or {}
    for name, called in OF_ADAPTER.items():
        given = config.get(called)
        if None not in (trained.get(name), given) and trained[name] != given:
            raise UserError(
                f"{record.folder}: {called} is {given!r:.40} in {ADAPTER_CONFIG}, but the record "
                f"says that {trained[name]!r:.40} was trained; the two do not belong together."
            )


def adapter_weights(folder: Path) -> dict[str, torch.Tensor]:
    """An adapter's weights by their names in the backbone.

    Raises:
        UserError: It cannot be read, or a weight is no number.
    """
    from peft.utils import load_peft_weights

    if not any((folder / name).is_file() for name in ADAPTER_WEIGHTS):
        raise UserError(
            f"adapter {folder} has no weights ({' or '.join(ADAPTER_WEIGHTS)}); copy it again."
        )
    try:
        weights = load_peft_weights(str(folder), device="cpu")
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"adapter {folder} is a pickle of more than tensors, which could run code, so "
            f"it was not opened ({reason}). If you trust it, load it once with "
            "torch.load(..., weights_only=False) and write it with safetensors.torch.save_file as "
            "adapter_model.safetensors."
        ) from error
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"adapter {folder} cannot be read: {reason}") from error
    check_finite(weights.items(), f"adapter {folder}")
    return {_key_of(name): weight for name, weight in weights.items()}


def _key_of(name: str) -> str:
    """A weight's name in the backbone, without what PEFT adds to it."""
    return name.removeprefix("base_model.model.").replace("modules_to_save.default.", "")


def check_brings_all(backbone: Any, brought: Collection[str], record: "CheckpointRecord") -> None:
    """Refuse an adapter without the weights that its backbone lacks.

    Raises:
        UserError: It names them.
    """
    lacking = sorted(backbone.fresh_keys.difference(brought))
    if lacking:
        raise UserError(
            f"neither adapter {record.folder} nor {record.model_name} has {', '.join(lacking)}, so "
            "scores would be those of random weights; train it again, or give the whole model."
        )


def check_adapter_read(model: Any, brought: Collection[str], record: "CheckpointRecord") -> None:
    """Refuse weights of an adapter that its configuration does not name.

    Raises:
        UserError: It names them.
    """
    from peft import get_peft_model_state_dict

    taken = get_peft_model_state_dict(model, save_embedding_layers=False)
    unread = sorted(set(brought).difference(map(_key_of, (*taken, *model.state_dict()))))
    if unread:
        raise UserError(
            f"adapter {record.folder} has {_first_of(unread)}, which its {ADAPTER_CONFIG} does not "
            "name: they would not be read, and scores would be of another model; the two do not "
            "belong together."
        )

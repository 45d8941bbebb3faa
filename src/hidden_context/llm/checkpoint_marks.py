"""A checkpoint is what it was when it was saved, or it is refused.

How a tokenizer is known again is in `reading_marks`, a model in `model_marks`.

Checkpoints of before 0.1, and those of other tools, have no marks, and are read as they are.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hidden_context.errors import UserError
from hidden_context.llm.backbone import ADAPTER_CONFIG, unwrapped
from hidden_context.llm.checkpoint_checks import adapter_weights
from hidden_context.llm.model_marks import (
    configuration_of,
    other_fields,
    scale_of_adapter,
    values_mark,
    weights_of_backbone,
)
from hidden_context.llm.reading_marks import other_reading, other_rendering, reading_mark
from hidden_context.records import CHECKPOINT_RECORD, brief, read_object

if TYPE_CHECKING:
    from hidden_context.llm.checkpoint import CheckpointRecord

MARKS = "marks"
"""Field of a checkpoint's record."""
COMPARABLE = (torch.bfloat16, torch.float32, torch.float64)
"""What can be rounded to bfloat16 at once; rounded twice, the same numbers may have other marks."""
IN_A_LINE = 3
"""Fields that a message names."""


def marks_of(
    model: Any, tokenizer: Any, folder: Path, *, are_weights_here: bool = True
) -> dict[str, Any]:
    """What is recorded of a model and its tokenizer, whose weights are saved in `folder`.

    `are_weights_here` says whether this process has whole weights; if not, or if they are rounded
    (to float16, 8 or 4 bits), those of a backbone or a model without adapters are not marked.
    """
    marks: dict[str, Any] = {
        "tokenizer": reading_mark(tokenizer),
        "configuration": configuration_of(model),
    }
    if (folder / ADAPTER_CONFIG).is_file():
        marks["adapter"] = scale_of_adapter(read_object(folder / ADAPTER_CONFIG))
        marks["weights"] = values_mark(adapter_weights(folder).items())
        backbone = list(weights_of_backbone(model))
        if are_weights_here and all(weight.dtype in COMPARABLE for _, weight in backbone):
            marks["backbone"] = values_mark(backbone)
    elif are_weights_here:
        marks["weights"] = values_mark(unwrapped(model).named_parameters())
    return marks


def check_tokenizer(record: "CheckpointRecord", tokenizer: Any, name: str) -> None:
    """Refuse a tokenizer, or a chat template, that is not the one of training.

    `name` is where it is from.

    Raises:
        UserError: It says what differs.
    """
    recorded = _mark(record, "tokenizer")
    if other := other_reading(recorded, tokenizer):
        raise _refusal(record, f"the tokenizer of {name}", other)
    if other := other_rendering(recorded, tokenizer):
        raise _refusal(record, f"the chat template of {name}", other)


def check_configuration(record: "CheckpointRecord", model: Any) -> None:
    """Refuse a model whose configuration computes other scores than it did.

    Raises:
        UserError: It names the fields, and what they were.
    """
    recorded = _mark(record, "configuration")
    if not recorded:
        return
    try:
        fields = other_fields(recorded, model)
    except Exception as error:  # whatever transformers makes of a damaged record
        raise UserError(
            f"{record.folder / CHECKPOINT_RECORD}: what it says of the model's configuration "
            f"cannot be read: {brief(error)}; copy it again."
        ) from error
    if fields:
        said = [f"{name} {now!r:.60} (was {before!r:.60})" for name, before, now in fields]
        more = f" and {len(said) - IN_A_LINE} more" if len(said) > IN_A_LINE else ""
        place = Path(record.model_name) / "config.json"
        raise _refusal(record, str(place), f"has {', '.join(said[:IN_A_LINE])}{more}")


def check_adapter(record: "CheckpointRecord", config: Mapping[str, Any]) -> None:
    """Refuse an adapter whose configuration scales it otherwise than it was trained.

    Raises:
        UserError: It names what differs.
    """
    then, now = _mark(record, "adapter"), scale_of_adapter(config)
    for name, value in then.items():
        if name in now and now[name] != value:
            place = str(record.folder / ADAPTER_CONFIG)
            raise _refusal(record, place, f"has {name} {now[name]!r:.60} (was {value!r:.60})")


def check_weights(record: "CheckpointRecord", weights: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Refuse weights that are not those the record was written with.

    Raises:
        UserError: They are others.
    """
    _check_values(record, "weights", weights, f"weights in {record.folder}")


def check_backbone(record: "CheckpointRecord", model: Any) -> None:
    """Refuse an adapter's backbone that has other weights than it was trained on.

    Raises:
        UserError: It has.
    """
    weights = weights_of_backbone(model)
    _check_values(record, "backbone", weights, f"weights of {record.model_name}")


def _check_values(
    record: "CheckpointRecord",
    name: str,
    weights: Iterable[tuple[str, torch.Tensor]],
    what: str,
) -> None:
    recorded = record.recorded.get(MARKS, {}).get(name)
    if recorded is None:
        return
    weights = list(weights)
    if all(weight.dtype in COMPARABLE for _, weight in weights) and (
        values_mark(weights) != recorded
    ):
        raise _refusal(record, what, "are not those of training")


def _mark(record: "CheckpointRecord", name: str) -> Mapping[str, Any]:
    mark = record.recorded.get(MARKS, {}).get(name) or {}
    if not isinstance(mark, dict):
        raise UserError(
            f"{record.folder / CHECKPOINT_RECORD}: {MARKS}.{name} is {type(mark).__name__}; "
            "expected a JSON object. Copy it again."
        )
    return mark


def _refusal(record: "CheckpointRecord", what: str, how: str) -> UserError:
    return UserError(
        f"{what} {how}, so scores would be of another model than {record.folder} was saved as. Put "
        f"back what it was, or copy the checkpoint again; if this is meant, remove {MARKS!r} from "
        f"{record.folder / CHECKPOINT_RECORD}."
    )

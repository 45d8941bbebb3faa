"""Adapters added to the weights of their backbone: a model that needs neither PEFT nor another."""

from collections.abc import Collection
from copy import deepcopy
from typing import Any

import torch

from hidden_context.errors import UserError
from hidden_context.llm.backbone import quietly
from hidden_context.records import brief

EXACT = (torch.float32, torch.float64)


def is_adapted(model: Any) -> bool:
    """Whether a model has adapters of PEFT."""
    from peft import PeftModel

    return isinstance(model, PeftModel)


def merged_copy(model: Any, *, apart: Collection[torch.Tensor] = ()) -> Any:
    """A copy with its adapters added to the weights, in float32; without adapters, a plain copy.

    It shares with `model` the weights that nothing changes, but for those `apart`. Weights in half
    precision are copied as float32 first: the sum would lose what adapters have learned.

    Raises:
        UserError: The adapters are of a kind that cannot be added, or the sum is not finite.
    """
    own = {id(parameter) for parameter in apart} | _changed(model)
    weights = list(model.parameters())
    is_exact = all(weight.dtype in EXACT for weight in weights)
    memo: dict[int, Any] = (
        {id(weight): weight for weight in weights if id(weight) not in own} if is_exact else {}
    )
    copied = deepcopy(model, memo)
    if not is_exact:
        copied = copied.float()
    if not is_adapted(model):
        return copied.eval()
    try:
        with quietly():
            return copied.merge_and_unload(safe_merge=True).eval()
    except (AttributeError, ValueError, NotImplementedError) as error:
        raise UserError(f"the adapters cannot be merged: {brief(error)}.") from error


def _changed(model: Any) -> set[int]:
    """Ids of the weights that merging writes to: those of layers that adapters are put on."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [each for each in model.modules() if isinstance(each, BaseTunerLayer)]
    return {id(weight) for layer in layers for weight in layer.parameters()}

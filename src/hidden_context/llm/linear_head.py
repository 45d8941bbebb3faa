"""What the head of a reward model reads, and reward models with another head on it."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hidden_context.comparisons.texts import Text
from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL
from hidden_context.llm.backbone import longest_text
from hidden_context.llm.merging import is_adapted, merged_copy
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.score import Scorer
from hidden_context.llm.score_rows import score_rows
from hidden_context.llm.scoring_options import ScoringOptions


def head_states(model: RewardModel, texts: Sequence[Text]) -> np.ndarray:
    """What the head reads of whole texts, shape `(n, hidden_size)`, float32.

    Raises:
        UserError: The model is no decoder, or a text cannot be read.
    """
    size = _hidden_size(model.model)
    options = ScoringOptions()
    longest = longest_text(model.model.config, model.tokenizer, options.max_length)
    scorer = Scorer(
        _with_linear(model.model, np.eye(size)),
        model.tokenizer,
        size,
        replace(options, max_length=longest),
    )
    rows = [[text] for text in texts]
    return score_rows(scorer, rows, place=lambda row, _: f"text {row + 1}").raw


def with_head(model: RewardModel, weight: np.ndarray, family: Family) -> RewardModel:
    """The same model with a linear head; adapters become part of the weights, others are shared.

    Args:
        model: A decoder with a linear head.
        weight: Of the head, shape `(family.num_outputs, hidden_size)`.
        family: How its outputs are read.

    Raises:
        UserError: The model is no decoder, or has states of another width.
    """
    size = _hidden_size(model.model)
    if weight.shape != (family.num_outputs, size):
        raise UserError(
            f"the head has shape {weight.shape}; expected {(family.num_outputs, size)}, for "
            f"{model.model_name}."
        )
    whole = _with_linear(model.model, weight)
    outcomes = DEFAULT_OUTCOME_MODEL
    return replace(model, model=whole, family=family, outcome_model=outcomes, folder=None)


def _hidden_size(model: Any) -> int:
    head = getattr(model.get_base_model() if is_adapted(model) else model, "score", None)
    if head is None:
        raise UserError(
            f"{type(model).__name__} has a head that is not linear on one state; people are fitted "
            "to the states of decoders."
        )
    return int(model.config.get_text_config().hidden_size)


def _with_linear(model: Any, weight: np.ndarray) -> Any:
    if is_adapted(model):
        model = merged_copy(model)
    else:
        model = deepcopy(model, {id(each): each for each in model.parameters()})
    model.score = torch.nn.Linear(weight.shape[1], len(weight), bias=False, device=model.device)
    model.config.num_labels = len(weight)
    with torch.no_grad():
        model.score.weight.copy_(torch.from_numpy(weight))
    return model.eval()

"""A reward model as trainers of policies call it: `reward_function`, for TRL's GRPO and RLOO."""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.hub import is_hub_name
from hidden_context.llm.checkpoint import find_checkpoint
from hidden_context.llm.given_texts import GivenText
from hidden_context.llm.linear_head import with_head
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.measures.anchoring import AffineMap
from hidden_context.risk import Risk, check_supported, parse_risk


class HasHead(Protocol):
    """People, or one of them, as a head on the states of a checkpoint."""

    @property
    def checkpoint(self) -> str:
        """Whose states they are."""
        ...

    def head(self) -> tuple[np.ndarray, Family]:
        """Weights, and the family that reads it; see `with_head`."""
        ...


AS_GIVEN = AffineMap(1.0, 0.0, 0.0)
"""The scale that the model has learned."""


@dataclass(frozen=True, eq=False)
class RewardFunction:
    """A reward for each completion, or None where the model abstains; see `reward_function`.

    It can be pickled, and then holds the name of the checkpoint and no weights: these are loaded at
    the first call, in each process anew. Threads may call it.
    """

    checkpoint: str
    """Folder, or name on the hub."""
    risk: Risk
    name: str
    """What trainers call it in their logs."""
    abstain_above: float | None = None
    """Standard deviation of utility beyond which there is no reward, on the scale of `anchor`."""
    anchor: AffineMap = AS_GIVEN
    """The scale of rewards, means and deviations, of the risk's number and of `abstain_above`."""
    num_generations: int | None = None
    """Completions of a prompt; see `reward_function`."""
    device: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """See `ScoringOptions`."""
    head: tuple[np.ndarray, Family] | None = None
    """In place of the checkpoint's own: weights, and the family that reads it; see `with_head`."""
    _loaded: list[RewardModel] = field(default_factory=list, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def __name__(self) -> str:
        """What TRL calls the reward."""
        return self.name

    @property
    def model(self) -> RewardModel:
        """The model, loaded when it is first asked for.

        Raises:
            UserError: It cannot be loaded, or its family lacks what is asked of it.
        """
        with self._lock:
            if not self._loaded:
                model = RewardModel.from_pretrained(self.checkpoint, device=self.device)
                if self.head is not None:
                    model = with_head(model, *self.head)
                self.check_family(model.family)
                self._loaded.append(model)
            return self._loaded[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": [], "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def check_family(self, family: Family) -> None:
        """Refuse a family that lacks the risk, or has no spread to abstain by.

        Raises:
            UserError: It does.
        """
        check_supported(self.risk, family)
        if self.abstain_above is not None and family.is_scalar:
            raise UserError(
                f"abstain_above is {self.abstain_above:g}, but utilities of family {family.name} "
                "have no spread; leave it out, or give a model of another family."
            )

    def __call__(
        self,
        /,
        prompts: Sequence[GivenText],
        completions: Sequence[GivenText] | None = None,
        *,
        log_metric: Callable[[str, float], object] | None = None,
        log_extra: Callable[[str, list[float]], object] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The reward of each completion, shape `(n,)`; None where utility spreads too far.

        Means and standard deviations of utility go to `log_extra`, as `<name>/utility_mean` and
        `<name>/utility_std`, and their averages to `log_metric`, with `<name>/abstained`, the share
        of completions without a reward.

        Args:
            prompts: n texts, conversations or token ids, each repeated for all of its completions.
            completions: What was generated: texts, or conversations that begin with the
                assistant's turn. Without them prompts are whole texts.
            log_metric: Takes the name of a number and the number.
            log_extra: Takes the name of a column and its n values.
            columns: Whatever else the data hold; not read.

        Raises:
            UserError: A text cannot be read, a reward is not finite, or contexts that responses
                share cannot be centred over the completions of a prompt.
        """
        utility = self._utility(prompts, completions)
        rewards = self.anchor.reward(utility, self.risk)
        if not np.isfinite(rewards).all():
            raise UserError(
                f"{self.name}: a reward by {self.risk} is {rewards[~np.isfinite(rewards)][0]}: the "
                "lower tail of the utility is too heavy for it; take a less averse risk."
            )
        mean, std = self.anchor.place(utility.mean), self.anchor.spread(utility.std)
        limit = math.inf if self.abstain_above is None else self.abstain_above
        abstains = std > limit
        if log_extra is not None:
            log_extra(f"{self.name}/utility_mean", mean.tolist())
            log_extra(f"{self.name}/utility_std", std.tolist())
        if log_metric is not None:
            log_metric(f"{self.name}/utility_mean", float(mean.mean()))
            log_metric(f"{self.name}/utility_std", float(std.mean()))
            log_metric(f"{self.name}/abstained", float(abstains.mean()))
        return [
            None if none else reward
            for reward, none in zip(rewards.tolist(), abstains.tolist(), strict=True)
        ]

    def _utility(
        self, prompts: Sequence[GivenText], completions: Sequence[GivenText] | None
    ) -> UtilityDistribution:
        """Of each completion, contexts that responses share being centred by prompt."""
        utility = self.model.score(prompts, completions, **self.options)
        if type(utility).centered is UtilityDistribution.centered:
            return utility
        labels = [_label(prompt) for prompt in prompts]
        self._check_groups(Counter(labels).values())
        return utility.centered(labels)

    def _check_groups(self, sizes: Any) -> None:
        """Refuse prompts of which not all completions are here."""
        reason = (
            f"family {self.model.family.name} has contexts that the completions of a prompt share, "
            "whose zero is their average over all of these; "
        )
        several = os.environ.get("WORLD_SIZE", "1") != "1"
        if self.num_generations is None and several:
            raise UserError(
                reason + "with several processes say how many there are (num_generations), so that "
                "a prompt whose completions are divided between processes is found."
            )
        size = self.num_generations or 1
        for found in sizes:
            if found == 1 or found % size:
                raise UserError(
                    reason + f"a prompt came with {found} of {self.num_generations or 'several'}. "
                    "Give all in one call: in TRL, per_device_train_batch_size times "
                    "steps_per_generation is a multiple of num_generations."
                )


def reward_function(
    checkpoint: str | Path,
    *,
    risk: str = "mean",
    abstain_above: float | None = None,
    anchor: AffineMap | None = None,
    num_generations: int | None = None,
    name: str | None = None,
    device: torch.device | str | None = None,
    person: HasHead | None = None,
    **options: Any,
) -> RewardFunction:
    """A reward model as a function that trainers such as TRL's GRPO and RLOO optimise against.

    It is called with prompts and completions, plain or conversations, and answers a list of
    rewards. What lies on this machine is checked at once; weights are loaded at the first call.

    Args:
        checkpoint: Folder, or name on the hub; see `find_checkpoint`.
        risk: How a distribution of utility becomes a reward: see `hidden_context.risk`. With the
            coefficient β of the trainer's KL penalty, `kl:β` is the reward that is robust to whose
            utility counts: docs/optimise.md says when.
        abstain_above: No reward (None) where the standard deviation of utility is above this
            number; in units of utility, whose scale is the model's own, or of the anchor's ratings.
        anchor: Of `anchor_to_ratings`: rewards, the number of the risk and `abstain_above` are in
            units of the ratings; without, in the model's own.
        num_generations: Completions of a prompt, as the trainer is told. Families with contexts
            that responses share need them all in one call; with several processes, where they could
            be divided, this number must be given.
        name: In logs; the checkpoint's folder and the risk if not given.
        device: CUDA, else MPS, else the CPU, if not given.
        person: A `Person`, or `People`, fitted to the states of this checkpoint: rewards are for
            this person alone, or by the risk over people (`cvar:0.1`: for the tenth who like a
            response least). Each is a shared context, so that they are centred by prompt.
        options: See `ScoringOptions`.

    Raises:
        UserError: There is no such checkpoint, or the person is fitted to another; its family lacks
            the risk or a spread to abstain by, or a number is out of its range.
    """
    ScoringOptions(**options)
    parsed = parse_risk(risk)
    for what, value in (("abstain_above", abstain_above), ("num_generations", num_generations)):
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{what} is {value}; give a finite number above 0.")
    folder = Path(checkpoint)
    is_here = folder.is_dir()
    function = RewardFunction(
        str(folder.resolve()) if is_here else str(checkpoint),
        parsed,
        name or f"{folder.resolve().name}_{parsed}",
        abstain_above,
        anchor or AS_GIVEN,
        num_generations,
        None if device is None else str(device),
        options,
        None if person is None else person.head(),
    )
    _check_together(function, person, is_known=is_here or not is_hub_name(str(checkpoint)))
    return function


def _check_together(function: RewardFunction, person: HasHead | None, *, is_known: bool) -> None:
    """Refuse a person of another checkpoint, and a family, if it is known, without the risk."""
    if person is not None and person.checkpoint != function.checkpoint:
        raise UserError(
            f"the person is fitted to states of {person.checkpoint}, not of {function.checkpoint}; "
            "give that checkpoint."
        )
    if function.head is not None:
        function.check_family(function.head[1])
    elif is_known:
        function.check_family(find_checkpoint(function.checkpoint).family)


def _label(prompt: Any) -> str:
    """What equal prompts have in common."""
    if isinstance(prompt, str):
        return prompt
    return json.dumps(prompt, default=lambda part: getattr(part, "tolist", part.__str__)())

"""A reward model of this project as OpenRLHF's reward, in its own process and without a server.

    REWARD_CHECKPOINT=rm REWARD_RISK=kl:0.05 python -m openrlhf.cli.train_ppo_ray \
        --reward.remote_url examples/openrlhf_reward.py ...

OpenRLHF imports this file in each of its rollout workers, which then holds the model. It calls
`reward_func` with whole texts as its policy reads them, special tokens included: none is added here
(so the policy's chat template is the one that the reward model was trained on). What is raised here
OpenRLHF only logs, and goes on without a reward: call `reward_func` once by hand before a long run.
"""

import os
from functools import cache
from typing import Any

import torch

import hidden_context as hc


@cache
def reward() -> Any:
    """The model that `REWARD_CHECKPOINT` names, by the risk in `REWARD_RISK` (mean)."""
    risk = os.environ.get("REWARD_RISK", "mean")
    return hc.reward_function(os.environ["REWARD_CHECKPOINT"], risk=risk, name="hidden_context")


def reward_func(
    queries: list[str], prompts: list[str], labels: list[Any], **_: Any
) -> dict[str, Any]:
    """Rewards of whole texts: `rewards`, `scores` and `extra_logs`, tensors of shape `(n,)`.

    `prompts` and `labels` are not read: a query begins with its prompt.
    """
    extra: dict[str, list[float]] = {}
    token_ids = reward().model.tokenizer(queries, add_special_tokens=False)["input_ids"]
    rewards = torch.tensor(reward()(token_ids, log_extra=extra.__setitem__))
    logs = {name: torch.tensor(values) for name, values in extra.items()}
    return {"rewards": rewards, "scores": rewards, "extra_logs": logs}

"""A reward model of this project as verl's custom reward function.

    python -m verl.trainer.main_ppo \
        reward.custom_reward_function.path=examples/verl_reward.py \
        reward.custom_reward_function.name=compute_score \
        +reward.custom_reward_function.reward_kwargs.checkpoint=rm \
        +reward.custom_reward_function.reward_kwargs.risk=kl:0.05 \
        reward.num_workers=1 ...

Each of verl's reward workers loads the model: one is enough, threads take turns. verl gives the
response alone, so the prompt (a text, or messages) must be in `extra_info["prompt"]` of the data:

    {"prompt": messages, "extra_info": {"prompt": messages, ...}, ...}
"""

from functools import cache
from typing import Any

import hidden_context as hc
from hidden_context.errors import UserError


@cache
def reward(checkpoint: str, risk: str) -> Any:
    """The model, loaded at its first response."""
    return hc.reward_function(checkpoint, risk=risk)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any],
    *,
    checkpoint: str,
    risk: str = "mean",
    **_: Any,
) -> dict[str, float]:
    """`score`, and mean and standard deviation of the utility, all of which verl logs.

    `data_source` and `ground_truth` are not read.

    Raises:
        UserError: The prompt is not in `extra_info`.
    """
    if extra_info.get("prompt") is None:
        raise UserError(
            "extra_info has no 'prompt', and verl gives the response alone; write the prompt there "
            "when the data are prepared."
        )
    prompt = extra_info["prompt"]
    metrics: dict[str, float] = {}
    function = reward(checkpoint, risk)
    response = solution_str
    if not isinstance(prompt, str):
        prompt, response = list(prompt), [{"role": "assistant", "content": solution_str}]
    (score,) = function([prompt], [response], log_metric=metrics.__setitem__)
    mean, std = (metrics[f"{function.name}/utility_{what}"] for what in ("mean", "std"))
    return {"score": score, "utility_mean": mean, "utility_std": std}

"""Twenty steps of TRL's GRPO or RLOO on a tiny policy; also a program, for several processes."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from tiny_models import tiny_model

import hidden_context as hc

PROMPTS = [f"Human: {what}? Assistant:" for what in ("bread", "water", "salt", "a rise")]
BATCH_SIZE, NUM_GENERATIONS = 8, 4


def optimise(trainer: str, folder: Path, **settings: Any) -> Any:
    """Optimise a tiny policy against the checkpoint `folder / "rm"`; returns the trainer.

    `settings` are those of the reward; TRL writes what was generated to `folder / trainer`.
    """
    import trl
    from datasets import Dataset

    config, kind = {
        "grpo": (trl.GRPOConfig, trl.GRPOTrainer),
        "rloo": (trl.RLOOConfig, trl.RLOOTrainer),
    }[trainer]
    own = {"scale_rewards": "none"} if trainer == "grpo" else {}
    made = kind(
        model=settings.pop("policy", None) or str(tiny_model()),
        reward_funcs=hc.reward_function(folder / "rm", name="rm", device="cpu", **settings),
        train_dataset=Dataset.from_list([{"prompt": prompt, "who": "a"} for prompt in PROMPTS]),
        args=config(
            output_dir=str(folder / trainer),
            max_steps=20,
            per_device_train_batch_size=BATCH_SIZE,
            num_generations=NUM_GENERATIONS,
            max_completion_length=8,
            learning_rate=0.03,
            beta=0.05,
            logging_steps=1,
            log_completions=True,
            num_completions_to_print=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
            **own,
        ),
    )
    made.train()
    return made


def logged(folder: Path, history: list[dict[str, Any]], key: str) -> list[float]:
    """A number of each step, where there is one."""
    return [step[key] for step in history if step.get(key) is not None]


def completions(folder: Path, trainer: str) -> pd.DataFrame:
    """What TRL wrote of all steps: prompt, completion, the reward and its extra columns."""
    files = sorted((folder / trainer / "completions").glob("*.parquet"))
    return pd.concat(map(pd.read_parquet, files), ignore_index=True)


if __name__ == "__main__":
    trainer, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    state = optimise(trainer, folder, **settings).state
    if state.is_world_process_zero:
        (folder / "history.json").write_text(json.dumps(state.log_history))

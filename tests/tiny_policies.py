"""Twenty steps of TRL's GRPO or RLOO on a tiny policy; also a program, for several processes."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_models import tiny_model

import hidden_context as hc

PROMPTS = [f"Human: {what}? Assistant:" for what in ("bread", "water", "salt", "a rise")]
BATCH_SIZE, NUM_GENERATIONS = 8, 4


def optimise(trainer: str, folder: Path, **settings: Any) -> Any:
    """Optimise a tiny policy against the checkpoint `folder / "rm"`; returns the trainer.

    `settings` are those of the reward. What was generated is written to `folder / trainer`.
    """
    import trl
    from datasets import Dataset

    trainers: dict[str, Any] = {
        "grpo": (trl.GRPOConfig, trl.GRPOTrainer),
        "rloo": (trl.RLOOConfig, trl.RLOOTrainer),
    }
    config, kind = trainers[trainer]
    out = folder / trainer
    out.mkdir(exist_ok=True)
    own = {"scale_rewards": "none"} if trainer == "grpo" else {}
    made = kind(
        model=settings.pop("policy", None) or str(tiny_model()),
        reward_funcs=Recorded(
            hc.reward_function(folder / "rm", name="rm", device="cpu", **settings), out
        ),
        train_dataset=Dataset.from_list([{"prompt": prompt, "who": "a"} for prompt in PROMPTS]),
        args=config(
            output_dir=str(out),
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


@dataclass
class Recorded:
    """A reward function that writes down what it was asked and what it answered, by process."""

    reward: Any
    folder: Path

    @property
    def __name__(self) -> str:
        return self.reward.__name__

    def __call__(self, prompts: list[str], completions: list[str], **more: Any) -> Any:
        rewards = self.reward(prompts, completions, **more)
        line = {"prompts": prompts, "completions": completions, "rewards": rewards}
        with (self.folder / f"asked_{os.environ.get('RANK', '0')}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        return rewards


def logged(history: list[dict[str, Any]], key: str) -> list[float]:
    """A number of each step, where there is one."""
    return [step[key] for step in history if step.get(key) is not None]


if __name__ == "__main__":
    trainer, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    state = optimise(trainer, folder, **settings).state
    if state.is_world_process_zero:
        (folder / "history.json").write_text(json.dumps(state.log_history))

"""Write a reward model for other tools."""

from dataclasses import dataclass
from typing import Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.printing import say_next
from hidden_context.commands.written_model import WrittenModel


@dataclass(frozen=True, kw_only=True)
class Config(WrittenModel):
    """Write a model that transformers and other tools load without this project."""

    to: Literal["scalar", "native"] = "scalar"
    """One output, the reward (scalar), or all raw outputs with their family (native)."""
    risk: str = "mean"
    """The reward of a scalar model: one that is linear in the outputs, as the mean of most."""


def run(config: Config) -> None:
    """Load, write, compare, print."""
    from hidden_context.llm.export import export

    model = config.load()
    export(model, config.out, to=config.to, risk=config.risk, dtype=config.dtype)
    what = config.risk if config.to == "scalar" else f"{model.family.num_outputs} outputs"
    print(
        f"saved {config.out}: {what} of {model.family.name}, as AutoModelForSequenceClassification"
    )
    config.push()
    say_next("benchmark rewardbench2 {}", *config.checkpoint)


main = command("export", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

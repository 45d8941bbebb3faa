"""Add the adapters of a checkpoint to the weights of its backbone."""

from dataclasses import dataclass

from hidden_context.commands.command_line import command
from hidden_context.commands.printing import say_next
from hidden_context.commands.written_model import WrittenModel


@dataclass(frozen=True, kw_only=True)
class Config(WrittenModel):
    """Add the adapters of a checkpoint to its backbone: a checkpoint that needs no other model."""


def run(config: Config) -> None:
    """Load, add, write, print."""
    import torch

    merged = config.load().merge()
    merged.model.to(getattr(torch, config.dtype))
    merged.save_pretrained(config.out)
    print(f"saved {config.out}: a checkpoint of family {merged.family.name} with whole weights")
    config.push()
    say_next("serve {}", config.out)


main = command("merge", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

"""Flags of the commands that write a model from a checkpoint."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.commands.outputs import writes
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.llm.reward_model import RewardModel


@dataclass(frozen=True, kw_only=True)
class WrittenModel:
    """Which checkpoint, and where to write."""

    checkpoint: tuple[str, ...] = field(metadata={"positional": True})
    """Folder or hub name of a checkpoint."""
    out: Path = field(metadata=writes("a folder"))
    """Folder to write; must not be there."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights that are written: float32 is exact, the others take half the space."""
    model_name: str | None = None
    """Backbone, if not the one that the checkpoint names."""
    tokenizer_name: str | None = None
    """Tokenizer, if neither in the checkpoint nor the backbone's."""
    reward_model_type: str | None = None
    """Family of a checkpoint that has no record of it; read as published."""
    num_outputs: int | None = None
    """Width of the head; the checkpoint knows it, and is checked against it."""
    push_to_hub: str | None = None
    """Name on the hub to upload the folder to as well."""
    private: bool | None = None
    """Whether a repository that is made for it is private; if not given, as the account says."""

    def load(self) -> "RewardModel":
        """The model in float32 on the processor."""
        import torch

        from hidden_context.llm.reward_model import RewardModel

        if len(self.checkpoint) != 1:
            raise UserError(f"{len(self.checkpoint)} checkpoints were given; give one.")
        if self.out.exists():
            raise UserError(f"{self.out} is there already; remove it, or give another --out.")
        say_what_is_fetched(self)
        return RewardModel.from_pretrained(
            self.checkpoint[0],
            device="cpu",
            dtype=torch.float32,
            model_name=self.model_name,
            tokenizer_name=self.tokenizer_name,
            reward_model_type=self.reward_model_type,
            num_outputs=self.num_outputs,
        )

    def push(self) -> None:
        """Upload what was written, where that is wished."""
        if self.push_to_hub is not None:
            from hidden_context.llm.hub import push_folder

            print(f"uploaded {push_folder(self.out, self.push_to_hub, private=self.private)}")

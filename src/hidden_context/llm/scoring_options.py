"""How texts are read and divided when they are scored."""

from dataclasses import dataclass
from typing import Literal

from hidden_context.errors import UserError
from hidden_context.llm.packing import Batching
from hidden_context.llm.rendering import Render


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How texts are read; scores depend on the first three options, on the others by rounding."""

    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["drop", "truncate_left", "error"] = "truncate_left"
    """Longer texts: their comparison left out, cut at the beginning, or refused; all counted."""
    render: Render | None = None
    """A plain prompt and a plain response: two turns (chat), or one text (plain); if not given, as
    the model was trained."""
    batching: Batching | None = None
    """shared_prefix, grouped (by length) or padded; if not given, the fastest that is exact."""
    token_budget: int | None = None
    """Tokens a forward pass; if not given, 2048 on a CPU and 16384 on CUDA."""
    batch_size: int = 8
    """Texts a forward pass, where batching is padded."""

    def __post_init__(self) -> None:
        for name in ("max_length", "token_budget", "batch_size"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise UserError(f"{name} is {given}; give at least 1.")

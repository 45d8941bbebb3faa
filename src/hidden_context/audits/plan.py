"""How sets are audited, and where what is found is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hidden_context.audits.work import UNSEEN, Work
from hidden_context.distributions import Family
from hidden_context.likelihood.outcomes import Ties


@dataclass(frozen=True)
class Plan:
    """How a set is audited, and where its scores are written."""

    families: tuple[Family, ...]
    """The scalar one first."""
    num_folds: int
    num_seeds: int
    num_null_draws: int
    ties: Ties
    seed: int
    progress: bool = False
    work: Work = UNSEEN
    config: Mapping[str, Any] = field(default_factory=dict)
    """Options of `audit`, as its record holds them."""

    @property
    def out(self) -> Path | None:
        """Folder that receives what is written, if there is one."""
        out = self.config.get("out")
        return None if out is None else Path(out)

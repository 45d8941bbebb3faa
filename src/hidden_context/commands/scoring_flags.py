"""Flags that `evaluate`, `score` and `serve` share."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.llm.scoring_options import ScoringOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hidden_context.llm.checkpoint import CheckpointRecord
    from hidden_context.llm.reward_model import RewardModel
    from hidden_context.risk import Risk
    from hidden_context.shards import Shard


@dataclass(frozen=True, kw_only=True)
class ReadingFlags(ScoringOptions):
    """Which checkpoints, and how texts are read."""

    model_name: str | None = None
    """Backbone, if not the one that a checkpoint names."""
    tokenizer_name: str | None = None
    """Tokenizer, if neither in the checkpoint nor the backbone's."""
    num_outputs: int | None = None
    """Width of the head; the checkpoint knows it, and is checked against it."""
    reward_model_type: str | None = None
    """Family of a checkpoint that has no record of it; read as published."""
    link: str | None = None
    """Link in place of the checkpoint's own: probit, paper or logit."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it."""

    def options(self) -> dict[str, Any]:
        """How texts are read, as the methods of `RewardModel` take it."""
        return {field.name: getattr(self, field.name) for field in fields(ScoringOptions)}

    def check_processes(self) -> None:
        """Refuse one of several processes."""
        from hidden_context.llm.score_rows import require_one_process

        require_one_process()

    def records(self, names: "Sequence[str]") -> "list[CheckpointRecord]":
        """What the checkpoints are.

        Raises:
            UserError: There is none, or this is one of several processes that cannot share the
                work.
        """
        from hidden_context.llm.checkpoint import find_checkpoint

        self.check_processes()
        are_here = all(Path(name).is_dir() for name in names)
        if not are_here:
            say_what_is_fetched(self)
        found = [
            find_checkpoint(
                name,
                model_name=self.model_name,
                num_outputs=self.num_outputs,
                reward_model_type=self.reward_model_type,
                link=self.link,
            )
            for name in names
        ]
        if are_here:  # then what contradicts them is known first
            say_what_is_fetched(self)
        return found

    def models(self, records: "Sequence[CheckpointRecord]") -> "Iterator[RewardModel]":
        """The models, one after the other."""
        from hidden_context.device import default_device, keep_freed_memory, scoring_dtype
        from hidden_context.llm.reward_model import RewardModel

        keep_freed_memory()
        dtype = scoring_dtype(default_device(), bf16=self.bf16)
        return RewardModel.load_in_turn(records, dtype=dtype, tokenizer_name=self.tokenizer_name)


@dataclass(frozen=True, kw_only=True)
class ScoringFlags(ReadingFlags):
    """Which checkpoints, how texts are read, and what is written of them."""

    risk: tuple[str, ...] = ()
    """Write and print rewards by these too: mean, quantile:α, cvar:α, lcb:λ, entropic:θ, ..."""

    def checkpoints(
        self, names: "Sequence[str]"
    ) -> "tuple[list[CheckpointRecord], tuple[Risk, ...]]":
        """What the checkpoints are, and the risks, which all of their families have.

        Raises:
            UserError: There is none, it lacks a risk, or this is one of several processes that
                cannot share the work.
        """
        from hidden_context.risk import check_supported, parse_risks

        risks = parse_risks(self.risk)
        records = self.records(names)
        for record in records:
            for risk in risks:
                check_supported(risk, record.family)
        return records, risks


@dataclass(frozen=True, kw_only=True)
class SharedScoringFlags(ScoringFlags):
    """The same, of commands whose work several processes can share."""

    shard: str | None = None
    """Share of the rows to score, such as 2/8; if not given, that of a Slurm array, or all."""

    def this_shard(self) -> "Shard":
        """The share of this process; all, if nothing says that there are others."""
        return shard_of(self.shard)

    def check_processes(self) -> None:
        """Refuse a shard that cannot be."""
        self.this_shard()

    def is_saved(self, output: Path, run: str) -> bool:
        """Whether `output` is there already, of this run, as the command would write it again."""
        from hidden_context.records import json_text, meta_path, provenance, read_record

        if not (output.is_file() and meta_path(output).is_file()):
            return False
        before = read_record(meta_path(output))
        runs = before.get("run")
        same = {"config": self.recorded(), **provenance()}
        return run in (runs.values() if isinstance(runs, dict) else [runs]) and all(
            before.get(name) == value
            for name, value in json.loads(json_text(same, default=str)).items()
            if value is not None  # as a record is read
        )

    def recorded(self) -> dict[str, Any]:
        """What records hold: all flags but the shard, on which no result depends."""
        return {name: value for name, value in asdict(self).items() if name != "shard"}


def shard_of(given: str | None) -> "Shard":
    """The share of this process, by a flag, the launcher and the scheduler.

    Raises:
        UserError: There cannot be such a shard.
    """
    from hidden_context.shards import Shard

    return Shard.from_environment(None if given is None else Shard.parse(given))

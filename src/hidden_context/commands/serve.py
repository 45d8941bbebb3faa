"""Serve rewards of a checkpoint over HTTP, to the clients of trainers and to others."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.scoring_flags import ReadingFlags
from hidden_context.errors import UserError
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.serving.options import ServingOptions


@dataclass(frozen=True, kw_only=True)
class Config(ServingOptions, ReadingFlags):
    """Serve rewards of a checkpoint over HTTP, to the clients of trainers and to others.

    Routes: /get_reward (OpenRLHF), /classify and /v1/embeddings (verl, vLLM, SGLang), /v1/reward
    (slime), /v1/score/evaluation (LLaMA-Factory), /v1/distribution, /health, /metrics, /docs.
    """

    checkpoint: tuple[str, ...] = field(metadata={"positional": True})
    """Folder (or hub name) of one checkpoint."""
    token_file: Path | None = None
    """File with the token that requests must show (Authorization: Bearer ...)."""
    overlong: Literal["truncate_left", "error"] = "truncate_left"
    """Longer texts: cut at the beginning, or refused with 422."""


def run(config: Config) -> None:
    """Take the address, load the model, answer until a signal says stop."""
    if len(config.checkpoint) != 1:
        raise UserError(f"{len(config.checkpoint)} checkpoints; give one, and a server to each.")
    from hidden_context.risk import check_supported, parse_risk
    from hidden_context.serving.server import address_of, bound_socket, require_extra, serve

    require_extra()
    token = _token(config.token_file)
    (record,) = config.records(config.checkpoint)
    check_supported(parse_risk(config.risk), record.family)
    bound = bound_socket(config)
    (model,) = config.models([record])
    serve(
        model,
        config,
        reading=ScoringOptions(**config.options()),
        token=token,
        bound=bound,
        on_start=lambda _: print(
            f"{model.name} ({model.family.name}, {config.risk}) answers on {address_of(bound)}",
            flush=True,
        ),
    )


def _token(file: Path | None) -> str | None:
    """What the file holds, without the end of the line."""
    if file is None:
        return None
    token = file.read_text(encoding="utf-8", errors="replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(f"--token_file {file} holds no token; write one word of ASCII into it.")
    return token


main = command("serve", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

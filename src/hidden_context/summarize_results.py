"""Print r², jailbreak rates and accuracies from saved scores."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hidden_context.command_line import run_command
from hidden_context.errors import UserError


@dataclass(frozen=True)
class Config:
    """Print r², jailbreak rates and helpfulness accuracies from saved scores."""

    data_dir: Path = Path("data")
    """Folder with reward_models/ and jailbroken_evaluations_*.jsonl, as published."""
    risk_level: float = 0.01
    """Level of the risk-averse quantile."""
    published_moments: bool = False
    """Mean and variance of the categorical family as in the published code, not of its bins."""
    json: bool = False
    """Print JSON, to full precision."""
    markdown: bool = False
    """Print Markdown tables."""


def run(config: Config) -> None:
    """Read, summarise, print."""
    import dataclasses
    import json

    from hidden_context.results.report import render
    from hidden_context.results.saved_scores import find_comparisons, find_jailbreaks
    from hidden_context.results.summary import summarize

    if not config.data_dir.is_dir():
        raise UserError(f"--data_dir {config.data_dir} is not a folder.")
    summary = summarize(
        find_comparisons(config.data_dir),
        find_jailbreaks(config.data_dir),
        risk_level=config.risk_level,
        published_moments=config.published_moments,
    )
    if not (summary.comparisons or summary.jailbreaks):
        raise UserError(
            f"{config.data_dir} has no scores: neither reward_models/*/<helpful|harmless|both>/"
            "<family>_*_last_checkpoint/eval_results_both.jsonl (hidden-context evaluate) nor "
            "jailbroken_evaluations_<family>.jsonl (hidden-context score)."
        )
    if config.json:
        print(json.dumps(dataclasses.asdict(summary), indent=2))
    else:
        print(render(summary, "github" if config.markdown else "simple"))


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context summarize`."""
    return run_command(Config, run, argv, prog="hidden-context summarize")


if __name__ == "__main__":
    sys.exit(main())

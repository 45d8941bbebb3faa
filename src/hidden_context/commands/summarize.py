"""Print r², jailbreak rates and accuracies from saved scores."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.measures.diagnosis import Diagnosis, Ensemble, RiskTest
    from hidden_context.measures.risk_curves import Choice, RiskCurve
    from hidden_context.measures.summary import Summary
    from hidden_context.scores.model_scores import ModelScores
    from hidden_context.scores.score_files import ScoredComparisons


@dataclass(frozen=True)
class Config:
    """Print r², jailbreak rates and helpfulness accuracies from saved scores."""

    data_dir: Path = Path("data")
    """Folder with reward_models/ and jailbroken_evaluations_*.jsonl, as published."""
    risk: tuple[str, ...] = ("quantile:0.01",)
    """Rates by these beside the mean: quantile:α, cvar:α, lcb:λ, entropic:θ, prob_below:u."""
    curves: Literal["quantile", "cvar", "lcb"] | None = None
    """Print rates along the levels of this risk too."""
    validation_dir: Path | None = None
    """Scores, laid out like --data_dir, on which to choose a level of --curves."""
    tolerance: float = 0.01
    """Accuracy that the chosen level may lose against the mean, as a share."""
    diagnostics: bool = False
    """Print r² on every scale, held-out likelihood, calibration and tests too (seconds a run)."""
    published_moments: bool = False
    """Mean and variance of the categorical family as in the published code, not of its bins."""
    json: bool = False
    """Print JSON, to full precision."""
    markdown: bool = False
    """Print Markdown tables."""


@dataclass(frozen=True)
class More:
    """What is printed below the summary, where asked for."""

    curves: "list[RiskCurve]"
    choices: "list[Choice]"
    diagnoses: "list[Diagnosis]" = field(default_factory=list)
    risk_tests: "list[RiskTest]" = field(default_factory=list)
    ensembles: "list[Ensemble]" = field(default_factory=list)


def run(config: Config) -> None:
    """Read, summarise, print."""
    from hidden_context.measures.summary import summarize
    from hidden_context.risk import parse_risks
    from hidden_context.scores.score_files import find_comparisons, find_jailbreaks

    risks = parse_risks(config.risk)
    _check(config)
    comparisons = find_comparisons(config.data_dir)
    jailbreaks = find_jailbreaks(config.data_dir)
    summary = summarize(
        comparisons,
        jailbreaks,
        risks=risks,
        published_moments=config.published_moments,
    )
    if not (summary.comparisons or summary.jailbreaks):
        raise UserError(
            f"{config.data_dir} has no scores: neither reward_models/*/<helpful|harmless|both>/"
            "<family>_*_last_checkpoint/eval_results_both.jsonl (hidden-context evaluate) nor "
            "jailbroken_evaluations_<family>.jsonl (hidden-context score)."
        )
    curves, choices = _curves_and_choices(config)
    found = More(curves, choices)
    if config.diagnostics:
        from tqdm import tqdm

        from hidden_context.measures.diagnosis import ensembles, risk_tests

        found = More(
            curves,
            choices,
            [_diagnosed(comparisons, run) for run in tqdm(comparisons, "runs", disable=None)],
            [test for scored in jailbreaks for test in risk_tests(scored, risks)],
            ensembles(comparisons),
        )
    (_print_json if config.json else _print_text)(config, summary, found)


def _diagnosed(comparisons: "list[ScoredComparisons]", run: "ScoredComparisons") -> "Diagnosis":
    from hidden_context.measures.diagnosis import diagnose

    try:
        return diagnose(comparisons, run)
    except UserError as error:
        raise UserError(f"{run.run} has no diagnostics: {error}") from error


def _check(config: Config) -> None:
    if not config.data_dir.is_dir():
        raise UserError(f"--data_dir {config.data_dir} is not a folder.")
    validation_dir = config.validation_dir
    if validation_dir is None:
        return
    if config.curves is None:
        raise UserError("--validation_dir chooses a level of --curves; give that flag too.")
    if not validation_dir.is_dir():
        raise UserError(f"--validation_dir {validation_dir} is not a folder.")
    if validation_dir.resolve() == config.data_dir.resolve():
        raise UserError(
            f"--validation_dir and --data_dir are both {validation_dir}; a level must be chosen on "
            "other data than it is tested on."
        )


def _curves_and_choices(config: Config) -> "tuple[list[RiskCurve], list[Choice]]":
    """Curves of the validation data if there are such, else of the data themselves."""
    if config.curves is None:
        return [], []
    from hidden_context.measures.risk_curves import CURVES, choose_level, risk_curve

    risks = CURVES[config.curves]
    test = _model_scores(config, config.data_dir)
    if config.validation_dir is None:
        return [risk_curve(scores, risks) for scores in test.values()], []
    validation = _model_scores(config, config.validation_dir)
    both = [model for model in test if model in validation]
    if not both:
        raise UserError(f"{config.validation_dir} has scores of no model of {config.data_dir}.")
    choices = [
        choose_level(validation[model], test[model], risks, tolerance=config.tolerance)
        for model in both
    ]
    return [choice.validation for choice in choices], choices


def _model_scores(config: Config, folder: Path) -> "dict[tuple[str, str], ModelScores]":
    from hidden_context.scores.model_scores import find_model_scores

    found = find_model_scores(folder)
    if config.published_moments:
        found = [scores.with_published_moments() for scores in found]
    return {(scores.scored.family.name, scores.scored.trained_on): scores for scores in found}


def _print_text(config: Config, summary: "Summary", found: "More") -> None:
    from hidden_context.report.text import (
        render,
        render_choices,
        render_curves,
        render_diagnoses,
    )

    style = "github" if config.markdown else "simple"
    print(render(summary, style))
    if found.curves:
        print(f"\n{render_curves(found.curves, style)}")
    if found.choices:
        print(f"\n{render_choices(found.choices, config.tolerance, style)}")
    if found.diagnoses or found.risk_tests:
        parts = found.diagnoses, found.risk_tests, found.ensembles
        print(f"\n{render_diagnoses(*parts, style)}")


def _print_json(config: Config, summary: "Summary", found: "More") -> None:
    import json
    from dataclasses import asdict

    more: dict[str, Any] = {name: value for name, value in asdict(found).items() if value}
    if found.choices:
        more["tolerance"] = config.tolerance
    print(json.dumps({**asdict(summary), **more}, indent=2))


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context summarize`."""
    return run_command(Config, run, argv, prog="hidden-context summarize")


if __name__ == "__main__":
    sys.exit(main())

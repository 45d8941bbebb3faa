"""Print r², jailbreak rates and accuracies from saved scores."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.printing import say_next, show, shows_progress
from hidden_context.errors import UserError
from hidden_context.kinds import seems
from hidden_context.misspelt import nearest_path

if TYPE_CHECKING:
    from hidden_context.scores.scores import Scores

FORMAT_VERSION = 2
"""Of what --json prints."""
PRINTED = ("accuracy", "explained_variance", "jailbreaks")
"""Measures without --diagnostics."""


@dataclass(frozen=True)
class Config:
    """Print r², jailbreak rates and helpfulness accuracies from saved scores."""

    prints_numbers: ClassVar[bool] = True
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
    """Print r² on every scale, likelihood, calibration and tests too (seconds a run)."""
    published_moments: bool = False
    """Mean and variance of the categorical family as in the published code, not of its bins."""
    markdown: bool = False
    """Print Markdown tables."""


def run(config: Config) -> None:
    """Read, evaluate, print."""
    from hidden_context.measures.ensembles import ensembles
    from hidden_context.measures.models import choose_levels, missing_scores, models_of
    from hidden_context.measures.risk_levels import CURVES
    from hidden_context.progress import progress_bar
    from hidden_context.report import text
    from hidden_context.risk import MEAN, parse_risks

    _check(config)
    risks = [risk for risk in parse_risks(config.risk) if risk != MEAN]
    along = CURVES[config.curves] if config.curves else ()
    names, levels = list(map(str, risks)), list(map(str, along))
    comparisons, jailbreaks = _read(config, config.data_dir)
    if not (comparisons or jailbreaks):
        raise UserError(
            f"{config.data_dir} has no scores: neither reward_models/*/<helpful|harmless|both>/"
            "<family>_*_last_checkpoint/eval_results_both.jsonl (hidden-context evaluate) nor "
            "jailbroken_evaluations_<family>.jsonl (hidden-context score)."
            f"{seems(config.data_dir)}"
        )
    models = models_of(comparisons, jailbreaks)
    options: dict[str, Any] = {"risks": [*dict.fromkeys([*risks, *along])]}
    if not config.diagnostics:
        options |= {"measures": PRINTED, "scales": ("pooled",)}
    evaluations = []
    shown = config.diagnostics and shows_progress()
    with progress_bar(len(models), "measuring", unit="model", shown=shown) as bar:
        for model in models:
            evaluations.append(model.evaluate(**options))
            bar.update()
    choices = []
    if config.validation_dir is not None:
        validation = models_of(*_read(config, config.validation_dir))
        choices = choose_levels(validation, models, along, tolerance=config.tolerance)
    more = ensembles(comparisons) if config.diagnostics else []
    missing = missing_scores(comparisons, jailbreaks)
    style = "github" if config.markdown else "simple"

    def document() -> dict[str, Any]:
        printed: dict[str, Any] = {"format_version": FORMAT_VERSION, "risks": names}
        printed |= {"evaluations": evaluations, "missing": missing}
        if choices:
            printed |= {"choices": choices, "tolerance": config.tolerance}
        if more:
            printed["ensembles"] = more
        return printed

    def in_words() -> str:
        sections = [text.render(evaluations, names, style, missing=missing)]
        if config.curves:
            shown = [choice.validation for choice in choices] or evaluations
            sections.append(text.render_curves(shown, levels, style))
        if choices:
            sections.append(text.render_choices(choices, config.tolerance, style))
        if config.diagnostics:
            sections.append(text.render_diagnostics(evaluations, names, more, style))
        return "\n\n".join(sections)

    show(document, in_words)
    say_next("report {} --out report.html", config.data_dir)


def _check(config: Config) -> None:
    if not config.data_dir.is_dir():
        raise UserError(
            f"--data_dir {config.data_dir} is not a folder.{seems(config.data_dir)}"
            f"{nearest_path(config.data_dir)}"
        )
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


def _read(config: Config, folder: Path) -> "tuple[list[Scores], list[Scores]]":
    """Comparisons and jailbreaks."""
    from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks

    comparisons, jailbreaks = find_comparisons(folder), find_jailbreaks(folder)
    if config.published_moments:
        comparisons, jailbreaks = (
            [replace(scores, family=scores.family.with_published_moments()) for scores in of_kind]
            for of_kind in (comparisons, jailbreaks)
        )
    return comparisons, jailbreaks


main = command("summarize", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

"""The paper's main job on generated data whose hidden context is known, in order.

Writes the data, makes a tiny language model, then does what a user would do with real data: train
ten reward models, score comparisons and jailbreaks, measure.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hidden_context.demo.config import LEAST, RECORD, Config
from hidden_context.demo.findings import findings_about_judges, findings_of_the_paper
from hidden_context.demo.generated_data import GeneratedData, generate, write_data
from hidden_context.demo.judges import JUDGES
from hidden_context.demo.recovered_judges import report_judges
from hidden_context.demo.reward_models import (
    AMONG_OTHERS_SCORES,
    make_language_model,
    train_and_score,
)
from hidden_context.demo.text import render, render_judges
from hidden_context.demo.truth import truth
from hidden_context.errors import UserError
from hidden_context.measures.models import models_of
from hidden_context.records import is_temporary, provenance, write_json
from hidden_context.scores.data_dir import find_comparisons, find_jailbreaks
from hidden_context.scores.score_files import load_scores


def run(config: Config, say: Callable[[str], None]) -> str:
    """Generate, train, score, measure; returns what was learned, in words.

    Args:
        config: What to do; `out_dir` receives data, models and scores. See `make_room`.
        say: Is told what was done, as soon as it is.
    """
    data = generate(config)
    write_data(data, config.data_dir)
    make_language_model(config, data)
    say("data and tiny language model")
    train_and_score(config, say)
    return measure(config, data)


def make_room(config: Config) -> None:
    """Remove what an earlier demo left, and record the configuration.

    Raises:
        UserError: The folder holds anything but an earlier demo, or a setting cannot be used; then
            nothing is removed.
    """
    for name, least in LEAST.items():
        if getattr(config, name) < least:
            raise UserError(f"{name} is {getattr(config, name)}; give at least {least}.")
    for name in ("num_train_epochs", "learning_rate"):
        if not getattr(config, name) > 0:
            raise UserError(f"{name} is {getattr(config, name)}; give a number above 0.")
    folder = config.out_dir
    if folder.exists():
        if not folder.is_dir() or not _is_of_a_demo(folder):
            raise UserError(f"--out_dir {folder} is not of an earlier demo; give a new folder.")
        for path in folder.iterdir():  # the record stays: after a kill the folder is still a demo's
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != RECORD:
                path.unlink()
    write_json(folder / RECORD, {"config": asdict(config), **provenance()})


def _is_of_a_demo(folder: Path) -> bool:
    """Whether it has a record, or nothing but what a kill left of writing one."""
    names = [path.name for path in folder.iterdir()]
    return RECORD in names or all(is_temporary(name, RECORD) for name in names)


def measure(config: Config, data: GeneratedData) -> str:
    """Hold the scores that were written against the truth; then what should show, and whether."""
    comparisons = find_comparisons(config.data_dir)
    measures = ("accuracy", "explained_variance", "jailbreaks")
    evaluations = [
        model.evaluate(measures=measures, scales=("pooled",))
        for model in models_of(comparisons, find_jailbreaks(config.data_dir))
    ]
    truths = {
        name: truth(judges, data.test["both"], data.jailbreaks) for name, judges in JUDGES.items()
    }
    on_both = {scores.family.name: scores for scores in comparisons if scores.trained_on == "both"}
    among_others = load_scores(config.data_dir / AMONG_OTHERS_SCORES)
    utility = among_others.family.decode(among_others.raw.astype(float))
    judges = report_judges(on_both, utility, data)
    findings = [*findings_of_the_paper(evaluations), *findings_about_judges(judges)]
    return "\n\n".join(
        [render(evaluations, truths), render_judges(judges), "\n".join(map(str, findings))]
    )

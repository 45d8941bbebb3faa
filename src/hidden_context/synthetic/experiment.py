"""One synthetic experiment: every model trained, held against the exact answers, saved, drawn."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context import records
from hidden_context.device import default_device
from hidden_context.figures.style import STYLES, StyleName, in_style
from hidden_context.synthetic.environments import ENVIRONMENTS
from hidden_context.synthetic.evaluate import curves, evaluate, exact_answers, exact_curves
from hidden_context.synthetic.figures import draw, read_curves
from hidden_context.synthetic.models import MODEL_NAMES, Model, UtilityModel, build_model
from hidden_context.synthetic.settings import Experiment
from hidden_context.synthetic.train import load_model, save_model, train

METRICS_FILE = "metrics.json"
CURVES_FILE = "curves.npz"


def run(
    experiment: Experiment,
    folder: Path,
    say: Callable[[str], None],
    *,
    tell: Callable[[str], None],
    progress: bool = False,
) -> None:
    """Train what is not there yet; write models, metrics and curves.

    Args:
        experiment: What to train.
        folder: Receives the files; models there that were trained alike are used again.
        say: Is told what was done, as soon as it is.
        tell: Is told what was found, likewise.
        progress: Show a bar for each model.
    """
    environment = ENVIRONMENTS[experiment.env]
    arrays = exact_curves(environment)
    metrics: dict[str, Any] = {"exact": exact_answers(environment), "models": {}}
    tell(f"lowest possible loss: {metrics['exact']['expected_loss']:.4f} nats per comparison")
    for name in MODEL_NAMES:
        model = _trained(experiment, name, folder, say, progress)
        measured = evaluate(model, environment)
        metrics["models"][name] = measured
        tell(f"  {name}: expected loss {measured['expected_loss']:.4f}{_in_words(measured)}")
        if isinstance(model, UtilityModel):
            arrays |= curves(name, model, environment)
    with records.atomic_write(folder / CURVES_FILE) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    record = {"config": asdict(experiment), **metrics, **records.provenance()}
    records.write_json(folder / METRICS_FILE, record)


def draw_curves(folder: Path, env: str, style_name: StyleName) -> None:
    """Draw the figure from the saved curves, as `<env>.png` and `<env>.pdf`."""
    style = STYLES[style_name]
    figure = draw(read_curves(folder / CURVES_FILE), style)
    with in_style(style):
        for kind in ("png", "pdf"):
            with records.atomic_write(folder / f"{env}.{kind}") as file:
                figure.savefig(file, format=kind)


def _trained(
    experiment: Experiment,
    name: str,
    folder: Path,
    say: Callable[[str], None],
    progress: bool,
) -> Model:
    """The model from the folder if it is there, else trained and saved."""
    settings = asdict(experiment)
    model = build_model(name, ENVIRONMENTS[experiment.env], seed=experiment.seed)
    if load_model(folder, name, model, settings):
        say(f"{name}: using the trained model in {folder}")
        return model
    loss = train(model, experiment, device=default_device(), label=name, progress=progress)
    save_model(folder, name, model, settings)
    say(f"{name}: trained, loss of the last iterations {loss:.4f}")
    return model


def _in_words(measured: dict[str, Any]) -> str:
    if "ordering" not in measured:
        return ""
    orders = measured["ordering"]
    return (
        f", Spearman with Borda count {orders['borda_count']['spearman']:.3f}, "
        f"with E[u] {orders['expected_utility']['spearman']:.3f}, "
        f"rank-scale r² {measured['rank_explained_variance']:.3f}"
    )

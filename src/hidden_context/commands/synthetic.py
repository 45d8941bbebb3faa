"""`hidden-context synthetic`: the paper's synthetic experiments, with exact answers beside."""

import dataclasses
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.synthetic.environments import Environment
    from hidden_context.synthetic.models import Model

METRICS_FILE = "metrics.json"
CURVES_FILE = "curves.npz"
NOT_TRAINED_ON = ("out_dir", "redraw", "style")
"""Flags that change no weights."""


@dataclass(frozen=True)
class Config:
    """Train every family and a pairwise classifier on generated comparisons with hidden context.

    Writes models, metrics against the exact answers and a figure to
    <out_dir>/<env>/<batch_size>_<lr>_<num_iterations>/. Models that are there already, trained with
    the same settings, are used again.
    """

    env: Literal["1d", "2d"] = "1d"
    """Environment, by the number of coordinates of its states."""
    batch_size: int = 128
    """Comparisons per iteration; --pairs all: of the fewest states that have so many (2048: 65)."""
    lr: float = 1e-4
    """First learning rate of Adam, which decays exponentially to 1e-5."""
    num_iterations: int = 1000
    """Training iterations, each on fresh states."""
    out_dir: Path = Path("results")
    """Folder that receives the results."""
    pairs: Literal["sampled", "all"] = "all"
    """sampled: noisy comparisons of two fresh states each, as published; all: all pairs of evenly
    spread states, by their exact preference probability (classifier: as many pairs as states)."""
    seed: int = 0
    """Seed of the initial weights and of the comparisons."""
    redraw: bool = False
    """Draw the figure again from the saved curves, without training."""
    style: Literal["screen", "paper"] = "screen"
    """Look of the figure; paper: two columns wide (6.75 in), 8 pt, thin lines."""


def run(config: Config) -> None:
    """Train what is not there yet, then write metrics, curves and figure.

    Raises:
        UserError: A setting is out of range, or there is nothing to redraw.
    """
    _check(config)
    folder = result_folder(config)
    if not config.redraw:
        _train_and_evaluate(config, folder)
    _draw(config, folder)
    print(f"figure, metrics, curves and models are in {folder}")


def result_folder(config: Config) -> Path:
    """Where the results go, as in `results/1d/2048_0.001_1000`."""
    return config.out_dir / config.env / f"{config.batch_size}_{config.lr}_{config.num_iterations}"


def _train_and_evaluate(config: Config, folder: Path) -> None:
    import numpy as np

    from hidden_context import records
    from hidden_context.synthetic.environments import ENVIRONMENTS
    from hidden_context.synthetic.evaluate import curves, evaluate, exact_answers, exact_curves
    from hidden_context.synthetic.models import MODEL_NAMES, UtilityModel

    environment = ENVIRONMENTS[config.env]
    arrays = exact_curves(environment)
    metrics: dict[str, Any] = {"exact": exact_answers(environment), "models": {}}
    print(f"lowest possible loss: {metrics['exact']['expected_loss']:.4f} nats per comparison")
    for name in MODEL_NAMES:
        model = _trained(config, environment, name, folder)
        found = evaluate(model, environment)
        metrics["models"][name] = found
        print(f"  expected loss {found['expected_loss']:.4f}", _headline(found), sep="")
        if isinstance(model, UtilityModel):
            arrays |= curves(name, model, environment)
    with records.atomic_write(folder / CURVES_FILE) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    record = {"config": _settings(config), **metrics, **records.provenance()}
    records.write_json(folder / METRICS_FILE, record)


def _trained(config: Config, environment: "Environment", name: str, folder: Path) -> "Model":
    """The model from the folder if it is there, else trained and saved."""
    from hidden_context.device import default_device
    from hidden_context.synthetic.models import build_model
    from hidden_context.synthetic.train import load_model, save_model, train

    model = build_model(name, environment, seed=config.seed)
    if load_model(folder, name, model, _settings(config)):
        print(f"{name}: using the trained model in {folder}")
        return model
    loss = train(
        model,
        environment,
        pairs=config.pairs,
        batch_size=config.batch_size,
        lr=config.lr,
        num_iterations=config.num_iterations,
        seed=config.seed,
        device=default_device(),
        label=name,
    )
    save_model(folder, name, model, _settings(config))
    print(f"{name}: trained, loss of the last iterations {loss:.4f}")
    return model


def _draw(config: Config, folder: Path) -> None:
    from hidden_context import records
    from hidden_context.figures.style import STYLES, in_style
    from hidden_context.synthetic.figures import draw, read_curves

    style = STYLES[config.style]
    figure = draw(read_curves(folder / CURVES_FILE), style)
    with in_style(style):
        for kind in ("png", "pdf"):
            with records.atomic_write(folder / f"{config.env}.{kind}") as file:
                figure.savefig(file, format=kind)


def _headline(found: dict[str, Any]) -> str:
    if "ordering" not in found:
        return ""
    orders = found["ordering"]
    return (
        f", Spearman with Borda count {orders['borda_count']['spearman']:.3f}, "
        f"with E[u] {orders['expected_utility']['spearman']:.3f}, "
        f"rank-scale r² {found['rank_explained_variance']:.3f}"
    )


def _settings(config: Config) -> dict[str, Any]:
    """What the trained weights depend on, besides the family."""
    settings = dataclasses.asdict(config)
    return {name: settings[name] for name in settings if name not in NOT_TRAINED_ON}


def _check(config: Config) -> None:
    if config.batch_size < 1 or config.num_iterations < 1:
        raise UserError(
            f"--batch_size {config.batch_size} and --num_iterations {config.num_iterations} "
            "must both be at least 1."
        )
    if not 0 < config.lr < math.inf:
        raise UserError(f"--lr {config.lr} must be a positive number, such as 0.001.")
    if config.out_dir.exists() and not config.out_dir.is_dir():
        raise UserError(f"--out_dir {config.out_dir} is a file; give a folder.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv`; returns its exit status."""
    return run_command(Config, run, argv, prog="hidden-context synthetic")


if __name__ == "__main__":
    sys.exit(main())

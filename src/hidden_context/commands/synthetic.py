"""`hidden-context synthetic`: the paper's synthetic experiments, with exact answers beside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hidden_context.commands.command_line import command
from hidden_context.errors import UserError

TRAINED_BY = ("env", "batch_size", "lr", "num_iterations", "pairs", "seed")
"""Flags that the weights depend on."""


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
    from hidden_context.synthetic import experiment

    settings = {name: getattr(config, name) for name in TRAINED_BY}
    asked = experiment.Experiment(**settings)
    if config.out_dir.exists() and not config.out_dir.is_dir():
        raise UserError(f"--out_dir {config.out_dir} is a file; give a folder.")
    folder = asked.folder(config.out_dir)
    if not config.redraw:
        experiment.run(asked, folder, say=print, progress=True)
    experiment.draw_curves(folder, config.env, config.style)
    print(f"figure, metrics, curves and models are in {folder}")


main = command("synthetic", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

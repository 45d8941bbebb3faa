"""`hidden-context synthetic`: the paper's synthetic experiments, with exact answers beside."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_next, show, shows_progress, tell
from hidden_context.errors import UserError
from hidden_context.synthetic.settings import Experiment


@dataclass(frozen=True)
class Config(Experiment):
    """Train every family and a pairwise classifier on generated comparisons with hidden context.

    Writes models, metrics against the exact answers and a figure to
    <out_dir>/<env>/<batch_size>_<lr>_<num_iterations>/. Models that are there already, trained with
    the same settings, are used again.
    """

    prints_numbers: ClassVar[bool] = True
    out_dir: Path = field(default=Path("results"), metadata=writes("a folder"))
    """Folder that receives the results."""
    redraw: bool = False
    """Draw the figure again from the saved curves, without training."""
    style: Literal["screen", "paper"] = "screen"
    """Look of the figure; paper: two columns wide (6.75 in), 8 pt, thin lines."""


def run(config: Config) -> None:
    """Train what is not there yet, then write metrics, curves and figure."""
    from hidden_context.records import read_object
    from hidden_context.synthetic import experiment

    if config.out_dir.exists() and not config.out_dir.is_dir():
        raise UserError(f"--out_dir {config.out_dir} is a file; give a folder.")
    folder = config.folder(config.out_dir)
    if not config.redraw:
        settings = [getattr(config, field.name) for field in fields(Experiment)]
        experiment.run(
            Experiment(*settings),
            folder,
            say,
            tell=lambda found: tell(lambda: found),
            progress=shows_progress(),
        )
    experiment.draw_curves(folder, config.env, config.style)
    show(lambda: read_object(folder / experiment.METRICS_FILE))
    print(f"figure, metrics, curves and models are in {folder}")
    say_next("report {} --out report.html", folder)


main = command("synthetic", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

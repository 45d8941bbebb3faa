"""`hidden-context download`: fetch the data and trained models published with the paper."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hidden_context.commands.command_line import command
from hidden_context.commands.printing import say_again, say_next, show, shows_progress


@dataclass(frozen=True)
class Config:
    """Fetch the data and trained models published with the paper."""

    prints_numbers: ClassVar[bool] = True
    names: tuple[str, ...] = field(metadata={"positional": True})
    """What to fetch: any of jailbroken, relabeled-hh-rlhf and reward-models, or all."""
    to: Path = Path("data")
    """Folder that receives the files, in the layout that the other commands expect."""
    base_url: str = "https://raw.githubusercontent.com/cassidylaidlaw/hidden-context/main"
    """Address of the published repository, or of a mirror with the same paths below it."""
    overwrite: bool = False
    """Replace files that are there already but differ from the published ones."""
    timeout: float = 30.0
    """Seconds of silence after which a connection is given up and tried again."""
    attempts: int = 5
    """Requests per file, with growing pauses in between, before it counts as failed."""


RELABELED = "relabeled-hh-rlhf"
"""The one of these that is data alone, without scores."""


def run(config: Config) -> int:
    """Fetch what is missing and print what became of it; 1 if a file could not be had, else 0."""
    from hidden_context.published.download import download

    done = download(**vars(config), progress=shows_progress())
    for failure in done.failures:
        print(f"failed: {failure}", file=sys.stderr)
    show(
        lambda: done,
        lambda: (
            f"fetched {done.fetched}, already there {done.already_there}, "
            f"failed {len(done.failures)}, not tried {done.not_tried}"
        ),
    )
    if done.failures:
        say_again(beside=True)
    elif set(config.names) <= {RELABELED}:
        say_next("audit {}", config.to / RELABELED.replace("-", "_"), beside=True)
    else:
        say_next("summarize --data_dir {}", config.to, beside=True)
    return 1 if done.failures else 0


main = command("download", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

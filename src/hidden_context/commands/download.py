"""`hidden-context download`: fetch the data and trained models published with the paper."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError

PUBLISHED = {
    "jailbroken": "data/jailbroken_",
    "relabeled-hh-rlhf": "data/relabeled_hh_rlhf/",
    "reward-models": "data/reward_models/",
    "all": "data/",
}
"""What can be asked for, and how the paths of its files begin in the published repository."""


@dataclass(frozen=True)
class Config:
    """Fetch the data and trained models published with the paper."""

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


def published_files() -> dict[str, str]:
    """Git blob id of every published file, by its path in the published repository."""
    table = resources.files("hidden_context").joinpath("published/files.tsv")
    rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
    return {path: blob_id for blob_id, path in rows}


def run(config: Config) -> int:
    """Fetch what is missing and print what became of it; 1 if a file could not be had, else 0."""
    from hidden_context.published.fetch import (
        FetchError,
        HostUnreachableError,
        Patience,
        fetch,
        open_client,
    )

    _check(config)
    prefixes = tuple(PUBLISHED[name] for name in config.names)
    wanted = {path: blob for path, blob in published_files().items() if path.startswith(prefixes)}
    fetched: list[bool] = []
    failures: list[str] = []
    with open_client(timeout=config.timeout) as client:
        for path, blob_id in wanted.items():
            target = config.to / path.removeprefix("data/")
            url = f"{config.base_url.rstrip('/')}/{quote(path)}"
            patience = Patience(attempts=config.attempts)
            try:
                new = fetch(
                    client, url, target, blob_id, overwrite=config.overwrite, patience=patience
                )
                fetched.append(new)
            except HostUnreachableError as error:
                failures.append(str(error))
                break
            except (FetchError, OSError) as error:
                failures.append(f"{target}: {error}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    not_tried = len(wanted) - len(fetched) - len(failures)
    print(
        f"fetched {sum(fetched)}, already there {len(fetched) - sum(fetched)}, "
        f"failed {len(failures)}, not tried {not_tried}"
    )
    return 1 if failures else 0


def _check(config: Config) -> None:
    from httpx2 import URL, InvalidURL

    unknown = [name for name in config.names if name not in PUBLISHED]
    if unknown or not config.names:
        given = ", ".join(map(repr, unknown)) or "nothing"
        raise UserError(f"cannot download {given}; choose from {', '.join(PUBLISHED)}.")
    try:
        url = URL(config.base_url)
    except InvalidURL as error:
        raise UserError(f"--base_url {config.base_url!r} is not an address: {error}.") from error
    if url.scheme not in ("https", "http") or not url.host:
        raise UserError(f"--base_url {config.base_url!r} must be like https://example.org/folder.")
    if not 0 < config.timeout <= 3600:
        raise UserError(f"--timeout {config.timeout} must be above 0 and at most 3600 seconds.")
    if config.attempts < 1:
        raise UserError(f"--attempts {config.attempts} must be at least 1.")
    if config.to.exists() and not config.to.is_dir():
        raise UserError(f"--to {config.to} is a file; give a folder.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv`; returns its exit status."""
    return run_command(Config, run, argv, prog="hidden-context download")


if __name__ == "__main__":
    sys.exit(main())

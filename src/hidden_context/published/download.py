"""The data and trained models published with the paper: which files, and fetching them."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from httpx2 import URL, InvalidURL

from hidden_context.errors import UserError
from hidden_context.published.fetch import (
    FetchError,
    HostUnreachableError,
    Patience,
    fetch,
    open_client,
)

PUBLISHED = {
    "jailbroken": "data/jailbroken_",
    "relabeled-hh-rlhf": "data/relabeled_hh_rlhf/",
    "reward-models": "data/reward_models/",
    "all": "data/",
}
"""What can be asked for, and how the paths of its files begin in the published repository."""
UPSTREAM = "https://raw.githubusercontent.com/cassidylaidlaw/hidden-context/main"


@dataclass(frozen=True)
class Downloaded:
    """What became of the files that were wanted."""

    fetched: int
    already_there: int
    failures: tuple[str, ...]
    """One line for each file that could not be had."""
    not_tried: int
    """Files left after the host could not be reached."""


def published_files() -> dict[str, str]:
    """Git blob id of every published file, by its path in the published repository."""
    table = resources.files("hidden_context").joinpath("published/files.tsv")
    rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
    return {path: blob_id for blob_id, path in rows}


def download(
    names: Sequence[str],
    to: Path,
    *,
    base_url: str = UPSTREAM,
    overwrite: bool = False,
    timeout: float = 30.0,
    attempts: int = 5,
    progress: bool = False,
) -> Downloaded:
    """Fetch what is missing, each file verified.

    Args:
        names: Keys of `PUBLISHED`.
        to: Folder that receives the files, without the leading `data/` of their paths.
        base_url: Of the published repository, or of a mirror with the same paths below it.
        overwrite: Replace files that are there already but differ from the published ones.
        timeout: Seconds of silence after which a connection is given up and tried again.
        attempts: Requests per file before it counts as failed.
        progress: Show a bar for each file.

    Raises:
        UserError: A name is unknown, or a setting cannot be used.
    """
    _check(names, to, base_url, timeout, attempts)
    prefixes = tuple(PUBLISHED[name] for name in names)
    wanted = {path: blob for path, blob in published_files().items() if path.startswith(prefixes)}
    fetched: list[bool] = []
    failures: list[str] = []
    with open_client(timeout=timeout) as client:
        for path, blob_id in wanted.items():
            target = to / path.removeprefix("data/")
            url = f"{base_url.rstrip('/')}/{quote(path)}"
            try:
                new = fetch(
                    client,
                    url,
                    target,
                    blob_id,
                    overwrite=overwrite,
                    patience=Patience(attempts=attempts),
                    progress=progress,
                )
                fetched.append(new)
            except HostUnreachableError as error:
                failures.append(str(error))
                break
            except (FetchError, OSError) as error:
                failures.append(f"{target}: {error}")
    not_tried = len(wanted) - len(fetched) - len(failures)
    return Downloaded(sum(fetched), len(fetched) - sum(fetched), tuple(failures), not_tried)


def _check(names: Sequence[str], to: Path, base_url: str, timeout: float, attempts: int) -> None:
    unknown = [name for name in names if name not in PUBLISHED]
    if unknown or not names:
        given = ", ".join(map(repr, unknown)) or "nothing"
        raise UserError(f"cannot download {given}; choose from {', '.join(PUBLISHED)}.")
    try:
        url = URL(base_url)
    except InvalidURL as error:
        raise UserError(f"base_url {base_url!r} is not an address: {error}.") from error
    if url.scheme not in ("https", "http") or not url.host:
        raise UserError(f"base_url {base_url!r} must be like https://example.org/folder.")
    if not 0 < timeout <= 3600:
        raise UserError(f"timeout {timeout} must be above 0 and at most 3600 seconds.")
    if attempts < 1:
        raise UserError(f"attempts {attempts} must be at least 1.")
    if to.exists() and not to.is_dir():
        raise UserError(f"--to {to} is a file; give a folder.")

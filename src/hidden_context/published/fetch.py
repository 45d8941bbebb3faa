"""Fetch a file over HTTP and keep it only if it is the one that was published."""

import hashlib
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

from hidden_context.progress import is_terminal, progress_bar

_NO_CONNECTION = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
_RANGE_NOT_SATISFIABLE = 416
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, *range(500, 600)})


class FetchError(Exception):
    """The file could not be fetched; the message says why, in one line."""


class HostUnreachableError(FetchError):
    """No connection came about, so the other files of this host would fail alike."""


class _TransientError(Exception):
    """The server failed in a way that may pass."""


@dataclass(frozen=True)
class Patience:
    """When to give a server up."""

    attempts: int = 5
    """Requests per copy of a file; each goes on from where the one before it ended."""
    backoff: float = 1.0
    """Seconds before the second attempt, doubled before each further one."""
    total: float = 3600.0
    """Seconds for one file, all attempts together; the last read may exceed it by one time-out."""


def open_client(*, timeout: float) -> httpx2.Client:
    """HTTP client that gives up after `timeout` seconds of silence.

    Asks for unencoded bytes: a position in a compressed stream is not a position in the file.
    """
    headers = {"Accept-Encoding": "identity"}
    return httpx2.Client(timeout=timeout, follow_redirects=True, headers=headers)


def git_blob_id(path: Path) -> str:
    """Name git gives to the content of a file: sha1 of "blob <length>", NUL, content; in hex."""
    header = b"blob %d\0" % path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.sha1(header, usedforsecurity=False))
    return digest.hexdigest()


def fetch(
    client: httpx2.Client,
    url: str,
    target: Path,
    blob_id: str,
    *,
    overwrite: bool = False,
    patience: Patience = Patience(),
    progress: bool = False,
) -> bool:
    """Make `target` the file at `url` whose git blob id is `blob_id`; False if it is already.

    Until it is verified it lives in `<target>.part`. That file survives an interruption, and the
    next call goes on from it. What does not verify is deleted and fetched once more from the start.

    Raises:
        HostUnreachableError: If no connection came about.
        FetchError: If another file is at `target` and `overwrite` is False, or the server refuses,
            keeps failing, or sends another file.
    """
    if target.exists():
        if git_blob_id(target) == blob_id:
            return False
        if not overwrite:
            raise FetchError("differs from the published file; move it away or set overwrite")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    deadline = time.monotonic() + patience.total
    for _ in range(2):
        _complete(client, url, part, patience, deadline, progress)
        if git_blob_id(part) == blob_id:
            part.replace(target)
            return True
        part.unlink()
    raise FetchError(f"{url} is not the published file: its git blob id is not {blob_id}")


def _complete(
    client: httpx2.Client,
    url: str,
    part: Path,
    patience: Patience,
    deadline: float,
    progress: bool,
) -> None:
    for attempt in itertools.count(1):
        try:
            _append(client, url, part, deadline, progress)
            return
        except (httpx2.RequestError, _TransientError) as error:
            pause = patience.backoff * 2 ** (attempt - 1)
            if attempt >= patience.attempts or time.monotonic() + pause > deadline:
                reason = f"{str(error) or type(error).__name__} (attempts: {attempt})"
                if isinstance(error, _NO_CONNECTION):
                    host = httpx2.URL(url).host
                    raise HostUnreachableError(f"cannot reach {host}: {reason}") from error
                raise FetchError(f"{url} kept failing: {reason}") from error
        time.sleep(pause)


def _append(client: httpx2.Client, url: str, part: Path, deadline: float, progress: bool) -> None:
    """One request for what `part` still lacks; for all of it if the server ignores Range."""
    have = part.stat().st_size if part.exists() else 0
    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
        status = response.status_code
        if have and status == _RANGE_NOT_SATISFIABLE:
            return  # nothing is missing, or `part` is of another file: the blob id tells
        if status in _WORTH_ANOTHER_TRY:
            raise _TransientError(f"{status} {response.reason_phrase}")
        if not response.is_success:
            raise FetchError(f"{url} answered {status} {response.reason_phrase}")
        start = have if status == httpx2.codes.PARTIAL_CONTENT else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if start else "wb") as file,
            progress_bar(
                total,
                part.stem,
                unit="B",
                shown=progress and is_terminal(),
                initial=start,
                unit_scale=True,
            ) as bar,
        ):
            for chunk in response.iter_raw():
                bar.update(file.write(chunk))
                if time.monotonic() > deadline:
                    raise FetchError(f"{url} is too slow; run again to go on from {part}")

"""The Hugging Face hub: whether it can be reached, and what its cache on this machine holds."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["datasets", "models"]
"""What a name is of, as the hub's cache says it."""
PATIENCE = 5.0
"""Seconds for a connection. Its libraries try five times more, for half a minute each file."""
SWITCHES = ("huggingface_hub.constants", "datasets.config")
"""Modules that hold a switch, `HF_HUB_OFFLINE`, after which the cache alone is looked into."""
_reached: list[str] = []
"""Addresses that have answered this process."""


def endpoint() -> str:
    """Address of the hub, or of its mirror."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def is_hub_name(name: str) -> bool:
    """Whether a name that is no local folder or file may be one on the hub: `owner/name`."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def is_cached(kind: Kind, name: str) -> bool:
    """Whether the cache has files of this name; perhaps not all that are needed."""
    from huggingface_hub import constants

    snapshots = Path(constants.HF_HUB_CACHE) / f"{kind}--{name.replace('/', '--')}" / "snapshots"
    if snapshots.is_dir() and any(snapshots.iterdir()):
        return True
    prepared = Path(os.environ.get("HF_DATASETS_CACHE", Path(constants.HF_HOME) / "datasets"))
    return kind == "datasets" and (prepared / name.replace("/", "___")).is_dir()


def why_unreachable() -> str | None:
    """Why the hub does not answer; None if it does. Asked once more each time that it did not."""
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    if endpoint() in _reached:
        return None
    try:
        get_session().head(endpoint(), timeout=PATIENCE)
    except Exception as error:  # of whatever the library connects by
        return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    _reached.append(endpoint())
    return None


@contextmanager
def asked_once() -> Iterator[None]:
    """Read something of the hub: where it cannot be reached, from the cache or not at all."""
    if why_unreachable() is None:
        yield
        return
    modules = [sys.modules[module] for module in SWITCHES if module in sys.modules]
    before = [vars(module)["HF_HUB_OFFLINE"] for module in modules]
    try:
        for module in modules:
            vars(module)["HF_HUB_OFFLINE"] = True
        yield
    finally:
        for module, was in zip(modules, before, strict=True):
            vars(module)["HF_HUB_OFFLINE"] = was


def not_at_hand(names: list[str], reason: str) -> str:
    """What is the matter with names that are neither here nor can be fetched."""
    listed, verb = " and ".join(names), "is" if len(names) == 1 else "are"
    return (
        f"{listed} {verb} neither here nor in the cache of the hub, and {endpoint()} cannot be "
        f"reached ({reason})"
    )

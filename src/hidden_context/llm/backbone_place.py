"""Where the local backbone of an adapter is, without writing the machine's paths into it.

A checkpoint names its backbone by the last part of its path. Beside that it keeps a fingerprint,
and the way from the checkpoint to the backbone where both lie in a common folder, so that they may
be moved together. Every machine remembers for itself, outside the checkpoint, where it last saw a
backbone of that fingerprint.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.records import read_json, write_json

WEIGHTS = (".safetensors", ".bin")
FEWEST_IN_COMMON = 2
"""Folders that checkpoint and backbone lie in together, if the way is to be kept: fewer, such as
/home alone, would spell the rest of the path."""
ABSOLUTE = re.compile(r"(?<![\w./~])(?!//)~?/(?=\S)(?:[^/\s'\",;]+/)*")
"""The folders of an absolute path in a text; not those of an address."""


def without_folders(value: Any) -> Any:
    """The same JSON value with the folders of absolute paths left out of all its texts."""
    if isinstance(value, Mapping):
        return {name: without_folders(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(part) for part in value]
    if isinstance(value, Path):
        value = str(value)
    return ABSOLUTE.sub("", value) if isinstance(value, str) else value


def is_local(model_name: str) -> bool:
    """Whether a backbone is a folder of this machine."""
    return Path(model_name).is_dir()


def short_name(model_name: str) -> str:
    """A name on the hub as it is; of a folder the last part alone."""
    if not is_local(model_name):
        return without_folders(model_name)
    return Path(model_name).resolve().name


def place_of(backbone: Path, checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint keeps of where its local backbone is; see the head of this file."""
    backbone, checkpoint = backbone.resolve(), checkpoint.resolve()
    mark = mark_of(backbone)
    _remember(mark, backbone)
    common = Path(os.path.commonpath([backbone, checkpoint]))
    near = len(common.parts) - 1 >= FEWEST_IN_COMMON
    beside = Path(os.path.relpath(backbone, checkpoint)).as_posix() if near else None
    return {"fingerprint": mark, "beside": beside}


def find_backbone(checkpoint: Path, name: str, place: Mapping[str, Any]) -> str:
    """The folder of a local backbone.

    Raises:
        UserError: It is at none of the places where it was.
    """
    mark, beside = place.get("fingerprint"), place.get("beside")
    folders = []
    if isinstance(beside, str):
        folders.append(Path(os.path.normpath(checkpoint.resolve() / beside)))
    if isinstance(mark, str) and re.fullmatch(r"[0-9a-f]+", mark) and _memory(mark).is_file():
        remembered = read_json(_memory(mark))
        if isinstance(remembered, dict) and isinstance(remembered.get("path"), str):
            folders.append(Path(remembered["path"]))
    for folder in folders:
        if folder.is_dir() and mark_of(folder) == mark:
            return str(folder)
    changed = [str(folder) for folder in folders if folder.is_dir()]
    fate = f"{changed[0]} has changed since" if changed else "it is not where it was"
    raise UserError(
        f"{checkpoint} was made from a local model called {name}, and {fate}; "
        "give its folder as model_name."
    )


def mark_of(folder: Path) -> str:
    """A fingerprint of a model: of its configuration, and the names and sizes of its weights."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.name == "config.json":
            digest.update(file.read_bytes())
        elif file.name.endswith(WEIGHTS):
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
    return digest.hexdigest()


def _memory(mark: str) -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "backbones" / f"{mark}.json"


def _remember(mark: str, backbone: Path) -> None:
    try:
        write_json(_memory(mark), {"path": str(backbone)})
    except OSError as error:
        warnings.warn(f"where {backbone.name} lies is not remembered: {error}", stacklevel=4)

"""Where the local backbone of an adapter is, without writing the machine's paths into it.

A checkpoint names its backbone by the last part of its path. Beside that it keeps a fingerprint,
a mark of what the weights are, and the way from the checkpoint to the backbone where both lie in a
common folder, so that they may be moved together. Every machine remembers for itself, outside the
checkpoint, where it last saw such a backbone.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.records import read_json, write_json

WEIGHTS = (".safetensors", ".bin")
FEWEST_IN_COMMON = 2
"""Folders that checkpoint and backbone lie in together, if the way is to be kept: fewer, such as
/home alone, would spell the rest of the path."""
BLOCK = 4096
"""Bytes that are read at each place of a file of weights; a disk reads no fewer."""
PLACES = 64
"""Where a file that is no safetensors is read."""
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
    mark, weights = mark_of(backbone), weights_mark(backbone)
    for known_by in (mark, weights):
        _remember(known_by, backbone)
    common = Path(os.path.commonpath([backbone, checkpoint]))
    near = len(common.parts) - 1 >= FEWEST_IN_COMMON
    beside = Path(os.path.relpath(backbone, checkpoint)).as_posix() if near else None
    return {"fingerprint": mark, "weights": weights, "beside": beside}


def find_backbone(checkpoint: Path, name: str, place: Mapping[str, Any]) -> str:
    """The folder of a local backbone.

    Raises:
        UserError: It is at none of the places where it was, or its weights are others now.
    """
    mark, beside = place.get("fingerprint"), place.get("beside")
    folders = []
    if isinstance(beside, str):
        folders.append(Path(os.path.normpath(checkpoint.resolve() / beside)))
    for known_by in (place.get("weights"), mark):
        if not (isinstance(known_by, str) and re.fullmatch(r"[0-9a-f]+", known_by)):
            continue
        remembered = read_json(_memory(known_by)) if _memory(known_by).is_file() else None
        if isinstance(remembered, dict) and isinstance(remembered.get("path"), str):
            folders.append(Path(remembered["path"]))
    for folder in dict.fromkeys(folders):
        if folder.is_dir() and mark_of(folder) == mark and has_weights(folder, place):
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


def has_weights(folder: Path, place: Mapping[str, Any]) -> bool:
    """Whether a model's weights are those that a checkpoint was trained on, if it says which."""
    return place.get("weights") in (None, weights_mark(folder))


def weights_mark(folder: Path) -> str:
    """A mark of a model's weights that tells them from others of the same sizes.

    Of each file of weights its head, `PLACES` blocks and one in the middle of each tensor are read,
    so that it takes about as long for 100 GB as for 1:
    training changes all tensors, and adding an adapter those that it is put on.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.name.endswith(WEIGHTS):
            with file.open("rb") as opened:
                for place in _places(file):
                    digest.update(os.pread(opened.fileno(), BLOCK, place))
    return digest.hexdigest()


def _places(file: Path) -> Iterator[int]:
    """Where blocks of a file of weights begin, in bytes."""
    size = file.stat().st_size
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length)) if length < size else {}
        spans = [one["data_offsets"] for name, one in header.items() if name != "__metadata__"]
        middles = sorted(8 + length + int(start + end - BLOCK) // 2 for start, end in spans)
        yield from range(0, min(size, 8 + length), BLOCK)
        yield from (place for place in middles if 0 <= place < size)
    except (ValueError, KeyError, TypeError, AttributeError):  # loading will say what is wrong
        pass
    yield from range(0, size, max(BLOCK, size // PLACES))


def _memory(mark: str) -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "backbones" / f"{mark}.json"


def _remember(mark: str, backbone: Path) -> None:
    try:
        write_json(_memory(mark), {"path": str(backbone)})
    except OSError as error:
        warnings.warn(f"where {backbone.name} lies is not remembered: {error}", stacklevel=4)

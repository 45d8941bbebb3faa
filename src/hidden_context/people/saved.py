"""Files of `People`: what it is in JSON, and its numbers in safetensors; no pickles."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from hidden_context.audits.vectors import Axes
from hidden_context.errors import UserError
from hidden_context.kinds import seems
from hidden_context.people.people import Clusters, People
from hidden_context.people.text_weights import TextWeights, reader_of
from hidden_context.records import atomic_write, brief, provenance, read_record, write_json

RECORD, NUMBERS = "people.json", "people.safetensors"
VERSION = 1
ARRAYS = ("mean", "directions", "thresholds", "threshold_shares")
OF_CLUSTERS = ("centers", "roots", "shares")


def is_saved(path: Path | str) -> bool:
    """Whether a folder holds people."""
    return (Path(path) / RECORD).is_file()


def save_people(people: People, folder: Path | str) -> None:
    """Write a folder that `load_people` reads; of texts the weights, and no text.

    Raises:
        UserError: An item is called by what JSON cannot say.
    """
    folder, texts = Path(folder), people.texts
    for item in people.items:
        if not isinstance(item, str | int | float | bool):
            raise UserError(f"item {item!r} cannot be written; call items by texts or numbers.")
    arrays = {name: getattr(people, name) for name in ARRAYS}
    arrays |= {f"clusters.{name}": getattr(people.clusters, name) for name in OF_CLUSTERS}
    if texts is not None:
        arrays["mean"], arrays["directions"] = texts.mean, texts.directions
        arrays |= {"axes.mean": texts.axes.mean, "axes.turn": texts.axes.turn}
    elif people.item_covariance is not None:
        arrays["item_covariance"] = people.item_covariance
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / NUMBERS) as file:
        file.write(save({name: np.ascontiguousarray(of) for name, of in arrays.items()}))
    record = {
        "kind": "people",
        "version": VERSION,
        "vectors": None if texts is None else texts.reader.name,
        "items": list(people.items) if texts is None else [],
        "num_people": people.num_people,
        "ridge": people.ridge,
        "log_likelihood": people.log_likelihood,
        "converged": people.converged,
        "held_out": list(people.held_out.items()),
        "held_out_clusters": list(people.held_out_clusters.items()),
        **provenance(),
    }
    write_json(folder / RECORD, record)


def load_people(folder: Path | str) -> People:
    """What `save_people` wrote.

    Raises:
        UserError: It is not there, is of another version, or is damaged.
    """
    folder = Path(folder)
    if not is_saved(folder):
        raise UserError(
            f"{folder} holds no people ({RECORD}); people --save writes them.{seems(folder)}"
        )
    record = read_record(folder / RECORD)
    if record.get("kind") != "people" or record.get("version") != VERSION:
        raise UserError(
            f"{folder / RECORD} is of version {record.get('version')!r} of kind "
            f"{record.get('kind')!r}; expected people of version {VERSION}."
        )
    try:
        return _people(record, load_file(folder / NUMBERS))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder} is damaged: {brief(error)}; save the people again.") from error


def _people(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> People:
    main = {name: arrays[name] for name in ARRAYS}
    texts = None
    if record.get("vectors") is not None:
        axes = Axes(arrays["axes.mean"], arrays["axes.turn"])
        texts = TextWeights(reader_of(record["vectors"]), axes, main["mean"], main["directions"])
        main |= {"mean": main["mean"][:0], "directions": main["directions"][:0]}
    return People(
        items=tuple(record["items"]),
        clusters=Clusters(**{name: arrays[f"clusters.{name}"] for name in OF_CLUSTERS}),
        num_people=record["num_people"],
        item_covariance=arrays.get("item_covariance"),
        texts=texts,
        ridge=record["ridge"],
        log_likelihood=record["log_likelihood"],
        converged=record["converged"],
        held_out=dict(record["held_out"]),
        held_out_clusters=dict(record["held_out_clusters"]),
        **main,
    )

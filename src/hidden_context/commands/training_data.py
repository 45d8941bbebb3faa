"""What `train` learns from, and what it is evaluated on."""

import ast
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hidden_context.commands.printing import say
from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.dataset_rows import is_one_split
from hidden_context.comparisons.objectives import Subset
from hidden_context.errors import UserError
from hidden_context.records import RepeatedKeyError, parse_yaml

if TYPE_CHECKING:
    from hidden_context.commands.train import Config


Evaluated: TypeAlias = Comparisons | dict[str, Comparisons] | None
"""What a model is evaluated on: one set, several by name, or none."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """An item of `datasets` or `eval_datasets`: where it is, and what of it is read."""

    path: str
    """Hub name, folder or file."""
    weight: float = 1.0
    """By which the weight of each of its comparisons is multiplied."""
    split: str | None = None
    """That of the command if not given."""
    data_subset: Subset | None = None
    """That of the command if not given."""
    size: int = 0
    """How many comparisons, split evenly over objectives; 0 for all."""
    dataset_config: str | None = None
    """Configuration of a data set on the hub, where it has several."""
    streaming: bool | None = None
    """That of the command if not given."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    name: str | None = None
    """Of a set to evaluate on, in the names of its measures."""

    def load(self, *, split: str, subset: Subset, streaming: bool) -> Comparisons:
        """Read it; what is given is for an item that does not say its own."""
        return load_comparisons(
            self.path,
            split=self.split or split,
            subset=self.data_subset or subset,
            size=self.size,
            dataset_config=self.dataset_config,
            ignore_columns=self.ignore_columns,
            streaming=streaming if self.streaming is None else self.streaming,
        )


def training_and_evaluation(config: "Config") -> tuple[Comparisons, Evaluated]:
    """The comparisons of both, each read by the layout of its own source.

    Raises:
        UserError: They cannot be read, or it is not clear on which to evaluate.
    """
    _check_evaluation(config)
    comparisons = _several(config) if config.datasets else _one(config)
    if config.test_size is not None:
        return held_out(comparisons, config.test_size, config.seed)
    if config.eval_datasets:
        return comparisons, _named(config)
    return comparisons, _other_data(config)


def _check_evaluation(config: "Config") -> None:
    """Refuse settings that say twice what to evaluate on, or nothing where they should."""
    for name in ("datasets", "eval_datasets"):
        if getattr(config, name) == ():
            raise UserError(f"{name} is empty; give a list of data sets, or leave it out.")
    ways = ("test_size", "eval_datasets", "eval_data_path")
    ways = [name for name in ways if getattr(config, name) is not None]
    if ways != ["eval_data_path"]:
        of_another = ("eval_split", "eval_dataset_size")
        ways += [name for name in of_another if ways and getattr(config, name)]
    if len(ways) > 1:
        raise UserError(f"{ways[0]} and {ways[1]} both say what to evaluate on; give one.")


def _one(config: "Config") -> Comparisons:
    return load_comparisons(
        config.data_path,
        split=config.split,
        subset=config.data_subset,
        size=config.train_dataset_size,
        dataset_config=config.dataset_config,
        ignore_columns=config.ignore_columns,
        streaming=config.streaming,
    )


def _several(config: "Config") -> Comparisons:
    """All of `datasets`; says how many comparisons each has."""
    alone = {"data_path": "path", "train_dataset_size": "size", "dataset_config": "dataset_config"}
    defaults = {field.name: field.default for field in fields(config)}
    for name, of_item in alone.items():
        if getattr(config, name) != defaults[name]:
            raise UserError(f"{name} is of one data set; give each of datasets its {of_item}.")
    parts, weights = [], []
    for number, text in enumerate(config.datasets or (), start=1):
        item = data_set(text, f"datasets, item {number}")
        if item.name is not None:
            raise UserError(f"datasets, item {number}: only eval_datasets have a name.")
        part = item.load(split=config.split, subset=config.data_subset, streaming=config.streaming)
        say(f"{item.path}: {len(part)} comparisons, of weight {item.weight:g}")
        parts.append(part)
        weights.append(item.weight)
    return Comparisons.concatenate(parts, weights)


def _named(config: "Config") -> dict[str, Comparisons]:
    """Sets to evaluate on by name; each its test split if it does not say another."""
    sets: dict[str, Comparisons] = {}
    for number, text in enumerate(config.eval_datasets or (), start=1):
        place = f"eval_datasets, item {number}"
        item = data_set(text, place)
        if item.name is None or item.name in sets:
            raise UserError(f"{place}: name is {item.name!r}; give each a name of its own.")
        if item.weight != 1:
            raise UserError(f"{place}: weight is {item.weight:g}, but nothing is trained on it.")
        sets[item.name] = item.load(
            split="test", subset=config.data_subset, streaming=config.streaming
        )
    return sets


def data_set(text: str, place: str) -> DataSet:
    """Read an item: a path, or a mapping as YAML or Python writes it.

    Raises:
        UserError: It is something else, or a key or its value is not known.
    """
    from pydantic import TypeAdapter, ValidationError

    values = _mapping(text) if text.startswith("{") else {"path": text}
    known = [field.name for field in fields(DataSet)]
    if not isinstance(values, dict) or "path" not in values:
        raise UserError(f"{place} is {text[:80]}; expected a path, or {{path: ..., weight: 2}}.")
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise UserError(f"{place} has {unknown[0]!r}; known are {', '.join(known)}.")
    try:
        text = json.dumps(values, default=str)
        return TypeAdapter(DataSet).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{place}: {first['loc'][0]} is {str(first['input'])[:40]!r}: {first['msg'].lower()}."
        ) from error


def _mapping(text: str) -> Any:
    """A mapping that YAML (on the command line) or Python (from a file of flags) has written."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    try:
        return parse_yaml(text)
    except RepeatedKeyError as error:
        raise UserError(f"datasets: {error}; leave one of them.") from error
    except (ValueError, RecursionError):
        return None


def held_out(comparisons: Comparisons, size: float, seed: int) -> tuple[Comparisons, Comparisons]:
    """What `test_size` leaves to train on, and the part that it holds out, by prompt."""
    count_or_share = int(size) if size >= 1 and size.is_integer() else size
    return comparisons.split(by="prompt", test_size=count_or_share, seed=seed)


def _other_data(config: "Config") -> Comparisons | None:
    is_single = not config.datasets and is_one_split(Path(config.data_path))
    if config.eval_data_path is None and (is_single or config.datasets):
        source = "data_path is one file" if is_single else "there are several datasets"
        what_to_do = "give eval_data_path, or test_size to hold out a part."
        if config.eval_split is not None:
            raise UserError(f"eval_split is {config.eval_split!r}, but {source}; {what_to_do}")
        say(f"evaluation: none, since {source}; {what_to_do}")
        return None
    eval_split = config.eval_split or "test"
    if config.eval_data_path is None and eval_split == config.split:
        raise UserError(f"split {eval_split!r} would be trained and evaluated on; give eval_split.")
    try:
        return load_comparisons(
            config.eval_data_path or config.data_path,
            split=eval_split,
            subset=config.data_subset,
            size=config.eval_dataset_size,
            dataset_config=None if config.eval_data_path else config.dataset_config,
            ignore_columns=config.ignore_columns,
            streaming=config.streaming,
        )
    except UserError as error:
        if config.eval_data_path is not None:
            raise
        raise UserError(
            f"{error} To evaluate on other data give eval_split or eval_data_path; to hold out a "
            "part give test_size; to train without evaluation give the training file as data_path."
        ) from error

"""Reward models on disk: weights in safetensors, the tokenizer, and what they mean."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import SafetensorError

from hidden_context.distributions import Family, family_from_dict, make_family
from hidden_context.errors import UserError
from hidden_context.hub import is_hub_name
from hidden_context.kinds import seems
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL
from hidden_context.likelihood.outcomes import OutcomeModel, outcome_model_from_dict
from hidden_context.llm.backbone import (
    ADAPTER_CONFIG,
    head_name,
    load_backbone,
    load_tokenizer,
    quietly,
)
from hidden_context.llm.backbone_place import (
    find_backbone,
    has_weights,
    is_local,
    place_of,
    short_name,
    without_folders,
)
from hidden_context.llm.checkpoint_checks import (
    adapter_weights,
    check_adapter_read,
    check_all_read,
    check_brings_all,
    check_finite,
    check_same_adapter,
    has_tokenizer,
)
from hidden_context.llm.checkpoint_marks import (
    MARKS,
    check_adapter,
    check_backbone,
    check_configuration,
    check_tokenizer,
    check_weights,
)
from hidden_context.llm.value_heads import HEAD_TENSORS, head_of_another_tool
from hidden_context.misspelt import nearest_path
from hidden_context.published.run_names import family_of_run
from hidden_context.records import (
    CHECKPOINT_RECORD,
    check_version,
    provenance,
    read_object,
    read_record,
    write_json,
)

OBJECTS = ("backbone", "config", MARKS, "outcome_model", "reading", "training")
"""Fields of a checkpoint's record that are objects."""


@dataclass(frozen=True)
class CheckpointRecord:
    """What is known of a checkpoint before its weights are loaded."""

    folder: Path
    family: Family
    model_name: str
    """Backbone to put an adapter on; the folder itself after full fine-tuning."""
    is_adapter: bool
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL
    """How outcomes follow from utilities, as it was fitted with the weights."""
    recorded: Mapping[str, Any] = field(default_factory=dict)
    """All that the checkpoint says of itself: see `save_record`."""

    @property
    def revision(self) -> str | None:
        """Of the backbone on the hub, where the adapter was trained on one that is not the last."""
        if not self.is_adapter or self.model_name != self.recorded.get("model_name"):
            return None
        return (self.recorded.get("config") or {}).get("model_revision")


def find_checkpoint(
    name: str,
    *,
    model_name: str | None = None,
    num_outputs: int | None = None,
    reward_model_type: str | None = None,
    link: str | None = None,
) -> CheckpointRecord:
    """Find out what a checkpoint is: by its record, by what is given, or by a published name.

    Args:
        name: Folder, or name of a repository on the hub.
        model_name: Backbone of an adapter, where it is not at the recorded place; if its name is
            another than the recorded one, a warning says so.
        num_outputs: Checked against the family.
        reward_model_type: Family of a checkpoint without a record; read as published.
        link: In place of the recorded one.

    Raises:
        UserError: Nothing is there, its family is not known, or what is given contradicts it.
    """
    folder = _local_folder(name)
    is_adapter = (folder / ADAPTER_CONFIG).is_file()
    if not is_adapter and any(folder.glob("adapter_model.*")):
        raise UserError(f"{folder} holds an adapter without its {ADAPTER_CONFIG}; copy it again.")
    if not is_adapter and not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} holds neither adapter_config.json nor config.json: no model.{seems(folder)}"
        )
    record = folder / CHECKPOINT_RECORD
    recorded = read_record(record, objects=OBJECTS) if record.is_file() else {}
    check_version(recorded, record)
    render = recorded.get("reading", {}).get("render", "plain")
    if render not in ("plain", "chat"):
        raise UserError(f"{record}: the recorded render is {render!r:.40}; expected plain or chat.")
    family = _family(folder, recorded, reward_model_type, num_outputs, link)
    if num_outputs is not None and num_outputs != family.num_outputs:
        raise UserError(
            f"num_outputs {num_outputs} contradicts {folder}, whose family {family.name} has "
            f"{family.num_outputs}; leave it out."
        )
    outcome_model = DEFAULT_OUTCOME_MODEL
    if "outcome_model" in recorded:
        outcome_model = outcome_model_from_dict(recorded["outcome_model"])
    backbone = _backbone(folder, recorded, model_name, is_adapter=is_adapter)
    if not is_adapter:
        _check_width(folder, family)
    return CheckpointRecord(folder, family, backbone, is_adapter, outcome_model, recorded)


def load_checkpoint(
    record: CheckpointRecord,
    *,
    tokenizer_name: str | None = None,
    dtype: torch.dtype,
    backbone: Any = None,
) -> tuple[Any, Any]:
    """Load the model, in evaluation mode, and its tokenizer.

    `tokenizer_name` is where that is, if neither in the folder nor with the backbone. `dtype` is of
    the weights; raw outputs are read in float32 in any case. An adapter is put on `backbone`, if
    one is loaded already.

    Raises:
        UserError: Something cannot be loaded, or is not what it was when the record was written.
    """
    num_outputs = record.family.num_outputs
    tokenizer = _tokenizer(record, tokenizer_name)
    if backbone is None:
        backbone = load_backbone(
            record.model_name, num_outputs, dtype=dtype, revision=record.revision
        )
    check_configuration(record, backbone)
    if record.is_adapter:
        check_backbone(record, backbone)
        backbone = _with_adapter(_with_head(backbone, num_outputs), record)
    else:
        check_all_read(backbone, record)
        check_finite(backbone.named_parameters(), f"checkpoint {record.folder}")
        check_weights(record, backbone.named_parameters())
        if backbone.fresh_keys:
            _take_head(backbone, record)
    return backbone.eval(), tokenizer


def _tokenizer(record: CheckpointRecord, given: str | None) -> Any:
    """The checkpoint's own, else the given one, else the backbone's; on the recorded day."""
    own = has_tokenizer(record)
    name = given or (str(record.folder) if own else record.model_name)
    tokenizer = load_tokenizer(name, revision=None if given or own else record.revision)
    day = record.recorded.get("reading", {}).get("template_date")
    if day is not None:
        tokenizer.template_date = _recorded_date(day)
    check_tokenizer(record, tokenizer, name)
    return tokenizer


def _recorded_date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"the recorded template_date is {value!r}; expected a day.") from error


@contextmanager
def refusing_full_disks(folder: Path) -> Iterator[None]:
    """Turn what torch and safetensors raise when they cannot write into one clear line.

    Raises:
        UserError: A file under `folder` could not be written.
    """
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        signs = ("I/O error", "PytorchStreamWriter", "inline_container")
        if not any(sign in str(error) for sign in signs):
            raise
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{folder} cannot be written ({reason}); what was saved before is intact."
        ) from error


def save_record(folder: Path, **what: Any) -> None:
    """Write the record that makes a folder of weights a checkpoint; see `make_record`."""
    write_json(folder / CHECKPOINT_RECORD, make_record(folder, **what))


def make_record(
    folder: Path,
    *,
    family: Family,
    model_name: str,
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL,
    **training: Any,
) -> dict[str, Any]:
    """What a checkpoint in this folder says of itself.

    `training` is what is known of how it was made: docs/formats.md. Folders of this machine are
    left out of it; how a local backbone is found again is said in `backbone_place`.
    """
    meaning = {"family": family.to_dict(), "outcome_model": outcome_model.to_dict()}
    record = {**meaning, "model_name": short_name(model_name), **without_folders(training)}
    if is_local(model_name) and (folder / ADAPTER_CONFIG).is_file():
        record["backbone"] = place_of(Path(model_name), folder)
    return {**record, **provenance()}


def _local_folder(name: str) -> Path:
    folder = Path(name)
    if folder.is_dir():
        return folder
    if not is_hub_name(name):
        raise UserError(
            f"checkpoint {name} is neither a folder nor the name of a hub repository."
            f"{seems(name)}{nearest_path(name)}"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"checkpoint {name}: no such folder, nor on the hub: {reason}{nearest_path(name)}"
        ) from error


def _family(
    folder: Path,
    recorded: Mapping[str, Any],
    reward_model_type: str | None,
    num_outputs: int | None,
    link: str | None,
) -> Family:
    if "family" in recorded:
        family = family_from_dict(recorded["family"])
        if reward_model_type not in (None, family.name):
            raise UserError(
                f"reward_model_type {reward_model_type} contradicts {folder}, "
                f"which was trained as {family.name}; leave it out."
            )
    else:
        family = family_of_run(folder.name)
        if reward_model_type is not None and (family is None or family.name != reward_model_type):
            family = make_family(reward_model_type).as_published()
            family = family.with_num_outputs(num_outputs or family.num_outputs)
        if family is None and recorded:
            raise UserError(
                f"{folder / CHECKPOINT_RECORD} has no field 'family', so what the outputs mean is "
                "unknown; it is damaged: copy it again, or give reward_model_type (and "
                "num_outputs)."
            )
        if family is None:
            raise UserError(
                f"{folder} has no {CHECKPOINT_RECORD}, and its name is not a published one, so "
                "what its outputs mean is unknown; give reward_model_type (and num_outputs)."
            )
    if link is None:
        return family
    return family_from_dict({**family.to_dict(), "link": link})


def _backbone(
    folder: Path, recorded: Mapping[str, Any], given: str | None, *, is_adapter: bool
) -> str:
    """The backbone of an adapter: the one given, or the one it was made from; else the folder."""
    made_from = recorded.get("model_name")
    if made_from is not None and not isinstance(made_from, str):
        raise UserError(f"{folder}: the recorded model_name is {made_from!r:.80}; expected a name.")
    if is_adapter and not made_from:
        made_from = read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    if given and made_from and PurePath(given).name != PurePath(made_from).name:
        warnings.warn(f"{folder} was made from {made_from}, not {given}", stacklevel=2)
    if not is_adapter:
        return str(folder)
    if given is None and made_from is None:
        raise UserError(f"{folder} does not say which model it was made from; give model_name.")
    place = recorded.get("backbone")
    if given is None and isinstance(place, dict):
        return find_backbone(folder, str(made_from), place)
    is_marked = "backbone" in recorded.get(MARKS, {})  # it is compared then
    if given and isinstance(place, dict) and is_local(given) and not is_marked:
        _warn_of_others(folder, Path(given), place)
    return given or str(made_from)


def _warn_of_others(folder: Path, given: Path, place: Mapping[str, Any]) -> None:
    if not has_weights(given, place):
        warnings.warn(f"{folder} was trained on other weights than those of {given}", stacklevel=4)


def _check_width(folder: Path, family: Family) -> None:
    config = read_object(folder / "config.json")
    if "SequenceClass" not in str(config.get("architectures")):
        return  # a head of another tool is checked by its shape
    labels = config.get("id2label", {})
    if not isinstance(labels, dict):
        raise UserError(
            f"{folder / 'config.json'} has id2label {labels!r:.80}; expected an object of labels."
        )
    width = len(labels) or 2  # transformers' default
    if width != family.num_outputs:
        raise UserError(
            f"{folder} has a head of {width} outputs, but family {family.name} reads "
            f"{family.num_outputs}; its record and its weights do not belong together."
        )


def _take_head(model: Any, record: CheckpointRecord) -> None:
    """Give a model whose file lacks a head the one that another tool wrote there.

    Raises:
        UserError: There is none, or more is lacking; scores would be those of random weights.
    """
    name = head_name(model)
    lacking = sorted(model.fresh_keys)
    head = None
    if lacking == [f"{name}.weight"]:
        width = model.get_parameter(lacking[0]).shape[1]
        head = head_of_another_tool(record.folder, width)
    if head is None:
        raise UserError(
            f"{record.folder} lacks {', '.join(lacking)}, so its scores would be those of random "
            "weights; give a checkpoint with its head (heads are also read under the names of "
            f"other tools: {', '.join(HEAD_TENSORS)})."
        )
    if head.out_features != record.family.num_outputs:
        raise UserError(
            f"{record.folder} has a head of {head.out_features} outputs, but family "
            f"{record.family.name} reads {record.family.num_outputs}."
        )
    setattr(model, name, head.to(getattr(model, name).weight))
    model.fresh_keys = frozenset()


def _with_head(backbone: Any, num_outputs: int) -> Any:
    """A fresh linear head of the right width; the adapter brings its weights."""
    name = head_name(backbone)
    head = getattr(backbone, name)
    if getattr(head, "out_features", num_outputs) != num_outputs:
        fresh = torch.nn.Linear(head.in_features, num_outputs, bias=head.bias is not None)
        setattr(backbone, name, fresh.to(head.weight))
        backbone.fresh_keys |= {f"{name}.weight"}
        backbone.num_labels = backbone.config.num_labels = num_outputs
    return backbone


def _with_adapter(backbone: Any, record: CheckpointRecord) -> Any:
    from peft import PeftModel

    config = read_object(record.folder / ADAPTER_CONFIG)
    kind = config.get("task_type")
    check_same_adapter(config, record)
    check_adapter(record, config)
    brought = adapter_weights(record.folder)
    check_weights(record, brought.items())
    check_brings_all(backbone, brought, record)
    if kind != "SEQ_CLS":
        raise UserError(
            f"adapter {record.folder} is of task type {kind}; a reward model's is SEQ_CLS. Merge "
            "it into its backbone together with its head, and give that."
        )
    try:
        with quietly(), warnings.catch_warnings():
            warnings.simplefilter("error", category=UserWarning)  # keys that fit nothing
            model = PeftModel.from_pretrained(backbone, str(record.folder), torch_device="cpu")
    except Exception as error:  # whatever the libraries make of a damaged file
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"adapter {record.folder} does not fit {record.model_name} with "
            f"{record.family.num_outputs} outputs: {reason}"
        ) from error
    check_adapter_read(model, brought, record)
    return model

"""What a checkpoint holds for others than this project: configuration, labels, card."""

import shutil
from pathlib import Path
from typing import Any

from hidden_context.distributions import Family, family_from_dict
from hidden_context.llm import pipeline_of_means
from hidden_context.llm.backbone import ADAPTER_CONFIG, quietly, unwrapped
from hidden_context.llm.model_card import model_card
from hidden_context.llm.portable import make_tokenizer_portable
from hidden_context.records import CHECKPOINT_RECORD, atomic_write, read_record, write_json

CARD = "README.md"


def complete_checkpoint(folder: Path, model: Any) -> None:
    """Add to weights, tokenizer and record what other tools read of them.

    The configuration of an adapter's backbone is written too: pipelines that find it take the
    folder for a whole model, and refuse it, rather than answer with the larger of two outputs.
    """
    record = read_record(folder / CHECKPOINT_RECORD)
    family = family_from_dict(record["family"])
    is_adapter = (folder / ADAPTER_CONFIG).is_file()
    if is_adapter:
        inner = unwrapped(model)
        with quietly():
            inner.config.save_pretrained(folder)
        config = read_record(folder / ADAPTER_CONFIG)
        config["base_model_name_or_path"] = (
            f"{record['model_name']} (a local folder: see README.md)"
            if "backbone" in record
            else record["model_name"]
        )
        write_json(folder / ADAPTER_CONFIG, config)
        describe_outputs(folder, family, architecture=type(inner).__name__, refuse=True)
    else:
        describe_outputs(folder, family, refuse=family.num_outputs > 1)
    make_tokenizer_portable(folder)
    write_card(folder, model_card(record, is_adapter=is_adapter))


def describe_outputs(
    folder: Path, family: Family, *, architecture: str | None = None, refuse: bool
) -> None:
    """Say in `config.json` that the outputs are raw numbers, and what each is called.

    If `refuse`, a pipeline does not begin unless it is allowed to run `pipeline_of_means`.
    """
    file = folder / "config.json"
    config = read_record(file)
    if architecture is not None:
        config["architectures"] = [architecture]
    names = family.output_names
    config["problem_type"] = "regression"
    config["id2label"] = {str(number): name for number, name in enumerate(names)}
    config["label2id"] = {name: number for number, name in enumerate(names)}
    config.pop("custom_pipelines", None)
    if refuse:
        source = Path(pipeline_of_means.__file__)
        shutil.copyfile(source, folder / source.name)
        config["custom_pipelines"] = {
            "text-classification": {
                "impl": f"{source.stem}.{pipeline_of_means.MeanOfUtility.__name__}",
                "pt": ["AutoModelForSequenceClassification"],
                "tf": [],
                "default": {},
                "type": "text",
            }
        }
    write_json(file, config)


def write_card(folder: Path, text: str) -> None:
    """Write README.md, in place of what a library has put there."""
    with atomic_write(folder / CARD) as file:
        file.write(text.encode())

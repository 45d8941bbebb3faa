"""Folder names of training runs, made and read as published.

`<family>_<model>__<train_dataset_size>_<learning_rate>_<scheduler>_<epochs>[_<option> ...]_peft`,
then `_last_checkpoint`; the options are the family's `published_options`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath

from hidden_context.distributions import FAMILIES, Family, make_family

LAST = "_last_checkpoint"


def run_name(
    family: Family,
    *,
    model_name: str,
    train_dataset_size: int,
    learning_rate: float,
    lr_scheduler_type: str,
    num_train_epochs: float,
    use_peft: bool,
) -> str:
    """Name of a run's final checkpoint folder."""
    options = [getattr(family, option) for option in family.published_options]
    epochs = (
        int(num_train_epochs) if num_train_epochs == int(num_train_epochs) else num_train_epochs
    )
    settings: Sequence[object] = (
        train_dataset_size,
        learning_rate,
        lr_scheduler_type,
        epochs,
        *options,
        "peft" if use_peft else "full",
    )
    model = PurePath(model_name).name
    return f"{family.name}_{model}__{'_'.join(map(str, settings))}{LAST}"


def family_of_run(name: str) -> Family | None:
    """The family that a published folder name speaks of, read as published; None if it does not."""
    for family_name, family_class in FAMILIES.items():
        if name.startswith(f"{family_name}_"):
            settings = name.removesuffix(LAST).rpartition("__")[2].split("_")[:-1]
            names = family_class.published_options
            texts = settings[len(settings) - len(names) :]
            types = {field.name: field.type for field in dataclasses.fields(family_class)}
            try:
                options = {
                    option: int(text) if types[option] in (int, "int") else float(text)
                    for option, text in zip(names, texts, strict=True)
                }
            except ValueError:
                return None
            return make_family(family_name, options).as_published()
    return None

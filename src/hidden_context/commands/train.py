"""Train a language model as a reward model on preference data."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from hidden_context.commands.command_line import as_typed, command
from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.commands.printing import say, say_next, show, shows_progress, tell
from hidden_context.distributions import Family, make_family
from hidden_context.errors import UserError
from hidden_context.llm.training_settings import TrainingSettings
from hidden_context.published.run_names import run_name
from hidden_context.records import CHECKPOINT_RECORD, parse_value, read_object


@dataclass(frozen=True, kw_only=True)
class Config(TrainingSettings):
    """Train a language model as a reward model of any family on preference data."""

    prints_numbers: ClassVar[bool] = True
    model_name: str = field(default="gpt2", metadata={"also": ("model_name_or_path",)})
    """Backbone: folder or hub name of any model that AutoModelForSequenceClassification loads."""
    data_path: str = field(default="Anthropic/hh-rlhf", metadata={"also": ("dataset_name",)})
    """Hub name, folder or file (jsonl, json, csv, perhaps .gz; parquet) of comparisons."""
    split: str = field(default="train", metadata={"also": ("dataset_train_split",)})
    """To train on, of a hub name or folder; a slice of it as in train[:1000], train[:1%]."""
    dataset_config: str | None = None
    """Configuration of a data set on the hub, where it has several."""
    streaming: bool = field(default=False, metadata={"also": ("dataset_streaming",)})
    """Read rows one by one, no more than split and size need: of the hub without the download."""
    datasets: tuple[str, ...] | None = None
    """In place of data_path: several, each {path: ..., weight: ..., split: ...} (see the docs)."""
    test_size: float | None = field(default=None, metadata={"also": ("test_split_size",)})
    """Evaluate on this share of the training data, or this number, held out by prompt."""
    eval_data_path: str | None = None
    """Where to evaluate, if not on another split of data_path."""
    eval_datasets: tuple[str, ...] | None = None
    """Where to evaluate instead: several, each {name: ..., path: ..., split: ...}."""
    eval_split: str | None = field(default=None, metadata={"also": ("dataset_test_split",)})
    """To evaluate on; test if not given."""
    data_subset: Literal["both", "helpful", "harmless"] = "both"
    """Train on comparisons judged by this objective."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    train_dataset_size: int = 0
    """Number of training comparisons, split evenly over objectives; 0 for all."""
    eval_dataset_size: int = 0
    """Number of evaluation comparisons, split evenly over objectives; 0 for all."""
    reward_model_type: str = "base"
    """Family: base, mean_and_variance, categorical, quantile, mixture or shared_context."""
    link: str | None = None
    """How comparisons follow from utilities (mean_and_variance): probit, paper or logit."""
    num_atoms: int | None = None
    """Number of bins (categorical; 10 if not given)."""
    entropy_coeff: float | None = None
    """Weight of the entropy that the loss rewards (categorical; 0.1 if not given)."""
    entropy: str | None = None
    """Entropy of each response's distribution, or of their mean over the batch (categorical)."""
    variance_penalty: float | None = None
    """Weight of the unexplained share of variance (mean_and_variance; 0 if not given)."""
    family_options: tuple[str, ...] = ()
    """Any options of the family, as name=value."""
    log_dir: Path = Path("data/reward_models/hh_rlhf")
    """Folder under which the run's folder is named as published."""
    output_dir: Path | None = None
    """Folder of the final checkpoint, in place of the one under log_dir."""
    local_rank: int = -1
    """Rank on this machine, for launchers that pass it as a flag."""


FAMILY_FLAGS = ("link", "num_atoms", "entropy_coeff", "entropy", "variance_penalty")
"""Flags that are options of a family."""


def run(config: Config) -> None:
    """Read, train, print."""
    family = make_family_of(config)
    folder = final_folder(config, family)
    if folder.exists() and not config.resume_from_checkpoint:
        raise UserError(f"{folder} is there already; remove it, or give another --output_dir.")
    say_what_is_fetched(config)
    if config.local_rank >= 0:
        os.environ.setdefault("LOCAL_RANK", str(config.local_rank))
    from hidden_context.commands.training_data import training_and_evaluation
    from hidden_context.llm.hub import push_trained
    from hidden_context.llm.train import how_to_go_on, train_to
    from hidden_context.llm.training_metrics import may_be_chance
    from hidden_context.progress import is_terminal

    comparisons, eval_data = training_and_evaluation(config)
    is_first = int(os.environ.get("RANK", "0")) == 0
    try:
        train_to(
            folder,
            comparisons,
            model=config.model_name,
            family=family,
            eval_data=eval_data,
            settings=config,
            config=config.to_dict(),
            progress=shows_progress() and is_terminal(),
            printing=shows_progress(),
        )
    except KeyboardInterrupt:
        if is_first:
            say(as_typed(how_to_go_on(folder), Config), beside=True)
        raise
    if is_first:
        record = read_object(folder / CHECKPOINT_RECORD)
        show(lambda: {"checkpoint": folder, **record})
        if record.get("metrics") and not shows_progress():  # else they were printed as logged
            tell(lambda: ", ".join(f"{name} {of}" for name, of in record["metrics"].items()))
        if chance := may_be_chance(family, record):
            say(as_typed(chance, Config))
        print(f"saved {folder}")
        if address := push_trained(folder, config):
            print(f"uploaded {address}")
        is_evaluated = any(name.startswith("eval_") for name in record.get("metrics") or ())
        _say_next(config, folder, is_evaluated=is_evaluated)


def _say_next(config: Config, folder: Path, *, is_evaluated: bool) -> None:
    """Its scores of the held-out data, where flags name them; else its rewards."""
    if not is_evaluated or config.datasets or config.eval_datasets:
        return say_next("serve {}", folder)
    evaluate, held_out = "evaluate --reward_model_checkpoint {} --data_path {}", config
    if config.data_subset != "both":
        evaluate += f" --data_subset {config.data_subset}"
    if config.test_size is not None:
        size = str(config.test_size).removesuffix(".0")
        of_part = {"test_size": size, "seed": config.seed}
        of_part["eval_dataset_size"] = config.train_dataset_size
        evaluate += "".join(f" --{name} {value}" for name, value in of_part.items() if value)
    else:
        of_data = None if config.eval_data_path else config.dataset_config
        held_out = replace(config, split=config.eval_split or "test", dataset_config=of_data)
    return say_next(evaluate, folder, config.eval_data_path or config.data_path, like=held_out)


def make_family_of(config: Config) -> Family:
    """The family with the options that were given."""
    given = {name: getattr(config, name) for name in FAMILY_FLAGS}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for option in config.family_options:
        name, equals, text = option.partition("=")
        if not equals:
            raise UserError(f"--family_options {option!r} is not of the form name=value.")
        options[name] = parse_value(text, f"--family_options {name}={text!r}")
    return make_family(config.reward_model_type, options)


def final_folder(config: Config, family: Family) -> Path:
    """Folder of the final checkpoint."""
    if config.output_dir is not None:
        return config.output_dir
    name = run_name(
        family,
        model_name=config.model_name,
        train_dataset_size=config.train_dataset_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        num_train_epochs=config.num_train_epochs,
        use_peft=config.use_peft,
    )
    return config.log_dir / config.data_subset / name


main = command("train", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

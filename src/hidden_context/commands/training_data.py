"""What `train` learns from, and what it is evaluated on."""

from pathlib import Path
from typing import TYPE_CHECKING

from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.hub import is_one_split
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.commands.train import Config


def training_and_evaluation(config: "Config") -> tuple[Comparisons, Comparisons | None]:
    """The comparisons of both, each read by the layout of its own source.

    Raises:
        UserError: They cannot be read, or it is not clear on which to evaluate.
    """
    comparisons = load_comparisons(
        config.data_path,
        split=config.split,
        subset=config.data_subset,
        size=config.train_dataset_size,
        dataset_config=config.dataset_config,
    )
    if config.test_size is not None:
        return _held_out(comparisons, config.test_size, config)
    return comparisons, _other_data(config)


def _held_out(
    comparisons: Comparisons, size: float, config: "Config"
) -> tuple[Comparisons, Comparisons]:
    others = ("eval_data_path", "eval_split", "eval_dataset_size")
    given = [name for name in others if getattr(config, name)]
    if given:
        raise UserError(f"test_size and {given[0]} both say what to evaluate on; give one.")
    count_or_share = int(size) if size >= 1 and size.is_integer() else size
    return comparisons.split(by="prompt", test_size=count_or_share, seed=config.seed)


def _other_data(config: "Config") -> Comparisons | None:
    if config.eval_data_path is None and is_one_split(Path(config.data_path)):
        if config.eval_split is not None:
            raise UserError(
                f"eval_split is {config.eval_split!r}, but {config.data_path} has no splits; give "
                "eval_data_path, or test_size to hold out a part."
            )
        print(
            "evaluation: none, since data_path is one file; give eval_data_path, or test_size to "
            "hold out a part."
        )
        return None
    try:
        return load_comparisons(
            config.eval_data_path or config.data_path,
            split=config.eval_split or "test",
            subset=config.data_subset,
            size=config.eval_dataset_size,
            dataset_config=None if config.eval_data_path else config.dataset_config,
        )
    except UserError as error:
        if config.eval_data_path is not None:
            raise
        raise UserError(
            f"{error} To evaluate on other data give eval_split or eval_data_path; to hold out a "
            "part give test_size; to train without evaluation give the training file as data_path."
        ) from error

"""The data of the demo: drawn from a seed, with all attributes, and written as published."""

from dataclasses import dataclass
from pathlib import Path

from hidden_context.demo.config import Config
from hidden_context.demo.conversations import (
    Comparison,
    Jailbreak,
    Prompt,
    compare,
    draw_jailbreaks,
    split_prompts,
)
from hidden_context.demo.judges import JUDGES
from hidden_context.records import write_jsonl

DATA_NAME = "relabeled_hh_rlhf"
JAILBREAKS_FILE = "jailbroken_responses.jsonl"
AMONG_OTHERS_FILE = "jailbreaks_among_others.jsonl"


@dataclass(frozen=True)
class GeneratedData:
    """What the models are trained and judged on, with all attributes."""

    train: dict[str, list[Comparison]]
    """By who judged; the texts are the same in each."""
    test: dict[str, list[Comparison]]
    jailbreaks: list[Jailbreak]


def generate(config: Config) -> GeneratedData:
    """Draw everything from the seed; no prompt of the test data is in the training data."""

    def by_judges(prompts: list[Prompt], size: int, seed: int) -> dict[str, list[Comparison]]:
        return {
            name: compare(prompts, judges, size=size, seed=seed) for name, judges in JUDGES.items()
        }

    train_prompts, test_prompts = split_prompts(config.seed)
    first, second, third = range(3 * config.seed, 3 * config.seed + 3)
    return GeneratedData(
        train=by_judges(train_prompts, config.train_size, first),
        test=by_judges(test_prompts, config.test_size, second),
        jailbreaks=draw_jailbreaks(test_prompts, size=config.num_jailbreaks, seed=third),
    )


def write_data(data: GeneratedData, folder: Path) -> None:
    """Write the files in the published layout, and the jailbreaks among other responses."""
    for split, sets in (("train", data.train), ("test", data.test)):
        for name, comparisons in sets.items():
            file = folder / DATA_NAME / name / f"{split}.jsonl.gz"
            write_jsonl(file, (comparison.row() for comparison in comparisons))
    for name, number in ((JAILBREAKS_FILE, 2), (AMONG_OTHERS_FILE, None)):
        write_jsonl(folder / name, (jailbreak.row(number) for jailbreak in data.jailbreaks))

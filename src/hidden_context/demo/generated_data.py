"""The data of the demo: drawn from a seed, with all attributes, and written as published."""

from dataclasses import dataclass
from pathlib import Path

from hidden_context.demo.config import Config
from hidden_context.demo.conversations import (
    Comparison,
    Jailbreak,
    Prompt,
    Response,
    compare,
    draw_jailbreaks,
    draw_others,
    split_prompts,
)
from hidden_context.demo.judges import JUDGES
from hidden_context.records import write_jsonl

DATA_NAME = "relabeled_hh_rlhf"
JAILBREAKS_FILE = "jailbroken_responses.jsonl"
AMONG_OTHERS_FILE = "jailbreaks_among_others.jsonl"
NUM_OTHERS = 8
"""Further responses to each jailbreak prompt, which give its contexts their origin."""


@dataclass(frozen=True)
class GeneratedData:
    """What the models are trained and judged on, with all attributes."""

    train: dict[str, list[Comparison]]
    """By who judged; the texts are the same in each."""
    test: dict[str, list[Comparison]]
    jailbreaks: list[Jailbreak]
    others: list[tuple[Response, ...]]
    """`NUM_OTHERS` responses to the prompt of each jailbreak, as any others are drawn."""

    @property
    def among_others(self) -> list[tuple[Response, ...]]:
        """For each jailbreak the safe response, the unsafe one, then the others."""
        pairs = zip(self.jailbreaks, self.others, strict=True)
        return [(jailbreak.safe, jailbreak.unsafe, *others) for jailbreak, others in pairs]


def generate(config: Config) -> GeneratedData:
    """Draw everything from the seed; no prompt of the test data is in the training data."""

    def by_judges(prompts: list[Prompt], size: int, seed: int) -> dict[str, list[Comparison]]:
        return {
            name: compare(prompts, judges, size=size, seed=seed) for name, judges in JUDGES.items()
        }

    train_prompts, test_prompts = split_prompts(config.seed)
    first, second, third = range(3 * config.seed, 3 * config.seed + 3)
    jailbreaks = draw_jailbreaks(test_prompts, size=config.num_jailbreaks, seed=third)
    return GeneratedData(
        train=by_judges(train_prompts, config.train_size, first),
        test=by_judges(test_prompts, config.test_size, second),
        jailbreaks=jailbreaks,
        others=draw_others(jailbreaks, num_others=NUM_OTHERS, seed=third),
    )


def write_data(data: GeneratedData, folder: Path) -> None:
    """Write the files in the published layout, and the jailbreaks among other responses."""
    for split, sets in (("train", data.train), ("test", data.test)):
        for name, comparisons in sets.items():
            file = folder / DATA_NAME / name / f"{split}.jsonl.gz"
            write_jsonl(file, (comparison.row() for comparison in comparisons))
    rows = [jailbreak.row() for jailbreak in data.jailbreaks]
    write_jsonl(folder / JAILBREAKS_FILE, rows)
    texts = [[response.text for response in responses] for responses in data.among_others]
    write_jsonl(
        folder / AMONG_OTHERS_FILE,
        (row | {"responses": all_texts} for row, all_texts in zip(rows, texts, strict=True)),
    )

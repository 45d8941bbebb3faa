"""The demo's models: a tiny language model that reads, and the reward models made from it."""

from collections.abc import Iterator
from dataclasses import asdict, replace

from hidden_context.comparisons.comparisons import load_comparisons
from hidden_context.comparisons.objectives import Subset
from hidden_context.demo.config import MAX_LENGTH, MODEL_NAME, SHARED_CONTEXT, TRAINED_ON, Config
from hidden_context.demo.generated_data import (
    AMONG_OTHERS_FILE,
    DATA_NAME,
    JAILBREAKS_FILE,
    GeneratedData,
)
from hidden_context.demo.tiny_reader import make_tiny_reader
from hidden_context.distributions import make_family
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.train import train
from hidden_context.measures.models import ModelScores
from hidden_context.published.run_names import run_name
from hidden_context.records import read_jsonl
from hidden_context.scores.data_dir import EVAL_FILE, JAILBREAK_FILE
from hidden_context.scores.score_files import write_scores

AMONG_OTHERS_SCORES = f"jailbreaks_among_others_{SHARED_CONTEXT}.jsonl"


def make_language_model(config: Config, data: GeneratedData) -> None:
    """The backbone of all reward models; see `make_tiny_reader`."""
    texts, remarks = [], []
    for comparison in data.train["both"]:
        for response in comparison.responses:
            texts.append(comparison.text_of(response))
            attributes = asdict(response.attributes).items()
            remarks.append([f"<{count} {name}>" for name, count in attributes])
    make_tiny_reader(
        config.out_dir / MODEL_NAME,
        texts=texts,
        remarks=remarks,
        more_words=[jailbreak.prompt.text for jailbreak in data.jailbreaks],
        max_length=MAX_LENGTH,
        num_steps=config.pretrain_steps,
        seed=config.seed,
    )


def train_and_score(config: Config) -> Iterator[ModelScores]:
    """Train every model of `TRAINED_ON`, score with it, and write checkpoints and scores.

    Yields:
        What each model scored, as soon as it has: the comparisons judged by both, and jailbreaks.
        `SHARED_CONTEXT` scores jailbreaks among others, which are no pairs.
    """
    test = load_comparisons(config.data_dir / DATA_NAME, split="test", subset="both")
    for family, subsets in TRAINED_ON.items():
        among_others = family == SHARED_CONTEXT
        file = config.data_dir / (AMONG_OTHERS_FILE if among_others else JAILBREAKS_FILE)
        output = AMONG_OTHERS_SCORES if among_others else JAILBREAK_FILE.format(family=family)
        responses, jailbreaks = read_jsonl(file), []
        for subset in subsets:
            model = train_model(config, family, subset)
            comparisons = replace(
                model.score_comparisons(test, max_length=MAX_LENGTH), trained_on=subset
            )
            assert model.folder is not None  # it was saved there
            comparisons.save(model.folder / EVAL_FILE)
            scores = model.score_responses(responses, str(file), max_length=MAX_LENGTH)
            column = subset if family == "base" else f"{subset}_{family}"
            jailbreaks.append(replace(scores, name=column))
            yield ModelScores(comparisons, jailbreaks[-1])
        write_scores(config.data_dir / output, jailbreaks)


def train_model(config: Config, family: str, subset: Subset) -> RewardModel:
    """Train one model, evaluated on the test comparisons of the same judges, named as published."""
    data = config.data_dir / DATA_NAME
    name = run_name(
        make_family(family),
        model_name=MODEL_NAME,
        train_dataset_size=0,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        num_train_epochs=config.num_train_epochs,
        use_peft=False,
    )
    return train(
        load_comparisons(data, split="train", subset=subset),
        model=str(config.out_dir / MODEL_NAME),
        family=family,
        output_dir=config.data_dir / "reward_models" / DATA_NAME / subset / name,
        eval_data=load_comparisons(
            data, split="test", subset=subset, size=min(200, config.test_size)
        ),
        use_peft=False,
        bf16=False,
        learning_rate=config.learning_rate,
        num_train_epochs=config.num_train_epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=128,
        max_length=MAX_LENGTH,
        seed=config.seed,
    )

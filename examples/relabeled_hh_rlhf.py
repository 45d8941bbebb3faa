"""Hidden context in people's preferences: the paper's families on comparisons by one judge or both.

    hidden-context download relabeled-hh-rlhf jailbroken --to data
    python examples/relabeled_hh_rlhf.py --data_dir data --out_dir results/relabeled_hh_rlhf

Trains on four fifths of the small relabelled test split and evaluates on the rest; no dialogue is
on both sides. The three training sets have the same number of comparisons, since r² depends on
it, and every model stops after the same fixed number of epochs. Without --model_name the backbone
is a small Llama with random weights, trained in full (20 minutes on one busy core): it shows how
the commands fit together, and from so few comparisons learns little more than length. With
--model_name that model learns LoRA adapters. What is finished is not done again, so the same line
continues an interrupted run.
"""

import hashlib
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypeAlias

from hidden_context.commands import evaluate as evaluate_command
from hidden_context.commands import score as score_command
from hidden_context.commands import summarize as summarize_command
from hidden_context.commands import train as train_command
from hidden_context.commands.command_line import run_command
from hidden_context.distributions import PUBLISHED
from hidden_context.errors import UserError
from hidden_context.records import meta_path, read_json, read_jsonl, write_json, write_jsonl

Row: TypeAlias = dict[str, Any]
Subset: TypeAlias = Literal["helpful", "harmless", "both"]
SUBSETS: tuple[Subset, ...] = ("helpful", "harmless", "both")
OBJECTIVES = SUBSETS[:2]
MAX_LENGTH = 512
"""Tokens; longer texts lose their beginning, and the commands count them."""
BATCH_SIZE = 16
"""Comparisons a training step, and texts a scoring step."""
SMALL_LLAMA: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": MAX_LENGTH,
}
VOCABULARY_SIZE = 4096
LEARNING_RATE, LORA_LEARNING_RATE = 1e-3, 1e-4
"""Usual peak rates for a small model from scratch and for LoRA; not tuned."""


@dataclass(frozen=True)
class Config:
    """Train, evaluate and compare the paper's families on the relabelled HH-RLHF test split."""

    data_dir: Path = Path("data")
    """Folder with relabeled_hh_rlhf/ and jailbroken_responses.jsonl, as downloaded."""
    out_dir: Path = Path("results/relabeled_hh_rlhf")
    """Folder that receives data, models and scores."""
    model_name: str | None = None
    """Backbone to put LoRA on, folder or hub name; a small Llama from scratch if not given."""
    num_train_epochs: float = 1.0
    """Passes over the training data; the small Llama overfits from the second on."""
    max_rows: int = 0
    """Number of comparisons to use, drawn at random; 0 for all."""
    seed: int = 0
    """Seed of the draw, the weights and the order of the data."""

    @property
    def data(self) -> Path:
        """Our training and held-out sets, in the published layout."""
        return self.out_dir / "data" / "relabeled_hh_rlhf"


def run(config: Config) -> None:
    """Split, train, evaluate, score, summarise."""
    jailbreaks = config.data_dir / "jailbroken_responses.jsonl"
    comparisons = config.data_dir / "relabeled_hh_rlhf" / "both" / "test.jsonl.gz"
    for file in (jailbreaks, comparisons):
        if not file.is_file():
            get = f"hidden-context download relabeled-hh-rlhf jailbroken --to {config.data_dir}"
            raise UserError(f"{file} does not exist; get it with `{get}`.")
    splits = split_rows(read_jsonl(comparisons), size=config.max_rows, seed=config.seed)
    claim_folder(config)
    for split, parts in splits.items():
        print(f"{split}:", ", ".join(f"{name} {len(part)}" for name, part in parts.items()))
        for name, part in parts.items():
            write_jsonl(config.data / name / f"{split}.jsonl", part)
    model_name = config.model_name or write_small_llama(config)
    losses = []
    for family in PUBLISHED:
        checkpoints = [train(config, model_name, family, subset) for subset in SUBSETS]
        score(config, jailbreaks, family, checkpoints)
        losses += [f"  {family} on {path.parent.name}: {losses_of(path)}" for path in checkpoints]
    print("\nMean training loss, first and second half:", *losses, "", sep="\n")
    summarize_command.run(summarize_command.Config(config.out_dir / "data", markdown=True))


def split_rows(rows: list[Row], *, size: int, seed: int) -> dict[str, dict[str, list[Row]]]:
    """Rows by split and subset; the mixed training set is half of each of the other two."""
    if not 0 <= size <= len(rows):
        raise UserError(f"--max_rows {size} is not between 0 and {len(rows)}.")
    drawn = random.Random(seed).sample(rows, size or len(rows))
    train, test = {}, {}
    for name in OBJECTIVES:
        judged = [row for row in drawn if row["objective"] == name]
        train[name] = [row for row in judged if not is_held_out(row)]
        test[name] = [row for row in judged if is_held_out(row)]
    half = min(map(len, train.values())) // 2
    if half == 0 or not all(test.values()):
        raise UserError(f"--max_rows {size} leaves an empty set; give more.")
    train = {name: part[: 2 * half] for name, part in train.items()}
    train["both"] = [row for part in train.values() for row in part[:half]]
    test["both"] = [row for part in test.values() for row in part]
    return {"train": train, "test": test}


def is_held_out(row: Row) -> bool:
    """Whether a dialogue is in the fifth held out, by its opening, which all its turns share."""
    opening = row["prompt"].split("\n\nAssistant:")[0]
    return int.from_bytes(hashlib.sha256(opening.encode()).digest()[:8]) % 5 == 0


def claim_folder(config: Config) -> None:
    """Record the settings, or refuse a folder made with others: results must not be mixed."""
    names = ("model_name", "num_train_epochs", "max_rows", "seed")
    settings, file = {name: getattr(config, name) for name in names}, config.out_dir / "config.json"
    if file.is_file() and read_json(file) != settings:
        raise UserError(f"{file} has other settings; remove its folder, or give another --out_dir.")
    write_json(file, settings)


def write_small_llama(config: Config) -> str:
    """Save a Llama with random weights and a byte-level BPE tokenizer of the training texts."""
    folder = config.out_dir / "small_llama"
    if folder.is_dir():
        return str(folder)
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast, set_seed

    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    rows = [row for name in OBJECTIVES for row in read_jsonl(config.data / name / "train.jsonl")]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(special.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator((row[side] for row in rows for side in ("chosen", "rejected")), trainer)
    ids = {name: bpe.token_to_id(token) for name, token in special.items()}
    ends = [(special[name], ids[name]) for name in ("bos_token", "eos_token")]
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    set_seed(config.seed)
    model = LlamaModel(
        LlamaConfig(
            **SMALL_LLAMA,
            vocab_size=bpe.get_vocab_size(),
            pad_token_id=ids["pad_token"],
            bos_token_id=ids["bos_token"],
            eos_token_id=ids["eos_token"],
        )
    )
    print(f"small Llama: {model.num_parameters():,} parameters")
    partial = folder.with_name(".small_llama.partial")
    model.save_pretrained(partial)
    PreTrainedTokenizerFast(tokenizer_object=bpe, **special).save_pretrained(partial)
    partial.rename(folder)
    return str(folder)


def train(config: Config, model_name: str, family: str, subset: Subset) -> Path:
    """Train one model and score the held-out comparisons, unless done; returns its folder."""
    command = train_command.Config(
        model_name=model_name,
        data_path=str(config.data / subset / "train.jsonl"),  # one file, so not evaluated yet
        data_subset=subset,
        reward_model_type=family,
        learning_rate=LORA_LEARNING_RATE if config.model_name else LEARNING_RATE,
        num_train_epochs=config.num_train_epochs,
        per_device_train_batch_size=BATCH_SIZE,
        max_length=MAX_LENGTH,
        overlong="truncate_left",
        use_peft=config.model_name is not None,
        log_dir=config.out_dir / "data" / "reward_models" / "relabeled_hh_rlhf",
        seed=config.seed,
    )
    folder = train_command.final_folder(command, train_command.make_family_of(command))
    if folder.is_dir():
        print(f"{folder} is there already")
    else:
        print(f"training {family} on {subset}")
        unfinished = any(folder.parent.glob(f"{family}_*_steps"))
        train_command.run(replace(command, resume_from_checkpoint=unfinished))
    if not meta_path(folder / "eval_results_both.jsonl").is_file():
        evaluate_command.run(
            evaluate_command.Config(
                reward_model_checkpoint=str(folder),
                data_path=str(config.data),
                batch_size=BATCH_SIZE,
                max_length=MAX_LENGTH,
            )
        )
    return folder


def losses_of(checkpoint: Path) -> str:
    """Mean training loss over each half of the run, in nats, the family's own terms included."""
    history = read_json(checkpoint / "hidden_context.json")["history"]
    losses = [step["loss"] for step in history if "loss" in step]
    half = len(losses) // 2
    return f"{fmean(losses[:half]):.4f}, {fmean(losses[half:]):.4f}" if half else "not logged"


def score(config: Config, jailbreaks: Path, family: str, checkpoints: Sequence[Path]) -> None:
    """Score the jailbreaks with one family's models, unless done."""
    output = config.out_dir / "data" / f"jailbroken_evaluations_{family}.jsonl"
    if not meta_path(output).is_file():
        suffix = "" if family == "base" else f"_{family}"
        score_command.run(
            score_command.Config(
                input=jailbreaks,
                output=output,
                reward_model_checkpoints=tuple(map(str, checkpoints)),
                reward_model_names=tuple(f"{subset}{suffix}" for subset in SUBSETS),
                batch_size=BATCH_SIZE,
                max_length=MAX_LENGTH,
            )
        )


if __name__ == "__main__":
    sys.exit(run_command(Config, run))

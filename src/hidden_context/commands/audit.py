"""Audit preference data: is there hidden context, by cheap heads on frozen vectors of the texts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from hidden_context.commands.command_line import command, refuse_given
from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.commands.judged import hold_judges
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_next, show, shows_progress
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.comparisons.comparisons import Comparisons

OF_DATA = ("data", "data_subset", "split", "dataset_config", "streaming", "ignore_columns", "group")
OF_JUDGES = ("scores", "verdicts", "traits", "features", "pair_column")
"""Flags that say which data; the others but `OF_JUDGES` are options of `audit`."""


@dataclass(frozen=True)
class Config:
    """Is there hidden context in preference data? Linear heads on frozen vectors, in minutes."""

    prints_numbers: ClassVar[bool] = True
    data: tuple[str, ...] = field(metadata={"positional": True})
    """Hub names, folders or files (jsonl, json, csv, perhaps .gz; parquet)."""
    data_subset: tuple[Literal["both", "helpful", "harmless"], ...] = ("both",)
    """Comparisons judged by these objectives; several are audited one by one and compared."""
    scores: tuple[str, ...] = ()
    """NAME=FILE of reward models: these are held against people, and nothing else is done."""
    verdicts: tuple[str, ...] = ()
    """NAME=COLUMN of LLM judges, the same; a name given again has repeated verdicts."""
    traits: tuple[str, ...] = ()
    """With these: columns of numbers that say something of who voted, such as age."""
    features: tuple[str, ...] = ()
    """With these: columns of numbers, of the row's first response less those of its second."""
    pair_column: str | None = None
    """With these: column that tells pairs of the same texts apart."""
    jailbreaks: Path | None = None
    """Prompts with a safe and an unsafe response (jsonl): how often does the unsafe one win?"""
    split: str = "train"
    """Of a hub name or folder; a slice of it as in train[:1000], train[:1%]."""
    dataset_config: str | None = None
    """Configuration of data sets on the hub, where they have several."""
    streaming: bool = False
    """Read rows one by one, no more than split needs: of the hub without the download."""
    ignore_columns: tuple[str, ...] = ()
    """Columns to carry along unread, whatever they say."""
    group: str | None = None
    """Column of groups of those who judged; if not given, group, group_id or annotator_group."""
    model_name: str | None = None
    """Frozen language model, folder or hub name; if not given, hashed words, which need none."""
    pooling: Literal["last", "mean"] | None = None
    """Token whose state is a text's vector; if not given, mean for encoders, last for decoders."""
    max_length: int = 1024
    """Longest text in tokens, for a language model; longer ones lose their beginning."""
    families: tuple[str, ...] = ("base", "mean_and_variance", "categorical")
    """Families to fit; base, the scalar one, always takes part."""
    num_folds: int = 5
    """Parts of the prompts for cross-validation; the data need four prompts for each."""
    num_seeds: int = 3
    """Partitions into folds, each with initial weights of its own."""
    num_null_draws: int = 19
    """Draws of the parametric bootstrap under the scalar family, at least 19; 0 for none."""
    ties: Literal["threshold", "half", "davidson"] = "threshold"
    """What a tie says, where there are any: opposed votes alone do not tell spread."""
    seed: int = 0
    """Of folds, weights, order and simulated labels."""
    memory: float = 4.0
    """Gigabytes that the vectors may take; what does not fit is read from the cache again."""
    bf16: bool = True
    """Run a language model in bfloat16 where the device has it."""
    cache_dir: Path | None = None
    """Folder that keeps the states of texts; if not given, with Hugging Face's cache."""
    out: Path = field(default=Path("audit_output"), metadata=writes("a folder"))
    """Folder that receives audit.json, the scored rows and report.html."""
    shard: str | None = None
    """Share of the texts to read, such as 2/8; if not given, that of a Slurm array, or all."""


def run(config: Config) -> None:
    """Load, audit, write the page, print."""
    from hidden_context.audits.audit import audit
    from hidden_context.commands.scoring_flags import shard_of
    from hidden_context.report.page import write_page

    if config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file; give a folder.")
    if config.scores or config.verdicts:
        return hold_judges(config, _load, (*OF_DATA, *OF_JUDGES, "out"))
    refuse_given(config, OF_JUDGES[2:], "needs --scores or --verdicts")
    _refuse_scores_among_data(config)
    apart = (*OF_DATA, *OF_JUDGES)
    options = {name: value for name, value in vars(config).items() if name not in apart}
    model, shard = options.pop("model_name"), shard_of(options.pop("shard"))
    sets = _load(config)
    result = audit(sets, model=model, shard=shard, progress=shows_progress(), **options)
    for audited in result.sets:
        say(f"{audited.name}: {_counted(audited.counts)}")
    say("")
    show(result.to_dict, lambda: result)
    record = config.out / "audit.json"
    title = f"Audit of {', '.join(audited.name for audited in result.sets)}"
    page = write_page([record], config.out / "report.html", title=title)
    print(f"\nwrote {record}; look at {page}")
    _say_next(config, sets)
    return None


def _load(config: Config) -> "dict[str, Comparisons]":
    """Every set by its name, which is a folder's too."""
    from hidden_context.comparisons.comparisons import load_comparisons

    if not config.data_subset:
        raise UserError("--data_subset is empty; give both, helpful or harmless.")
    say_what_is_fetched(config)
    sets: dict[str, Comparisons] = {}
    for source in config.data:
        for subset in config.data_subset:
            name = _name(source, subset, config)
            if name in sets:
                raise UserError(
                    f"two data sets would both be called {name}; rename one of the files."
                )
            read = load_comparisons(
                source,
                split=config.split,
                subset=subset,
                dataset_config=config.dataset_config,
                streaming=config.streaming,
                ignore_columns=config.ignore_columns,
            )
            sets[name] = read if config.group is None else read.grouped_by(config.group)
            say(f"{sets[name].account}\n")
    return sets


def _name(source: str, subset: str, config: Config) -> str:
    """Of the file or of the objective, whichever tells the sets apart; of the file for one set."""
    stem = Path(source).name.split(".")[0] or "data"
    is_whole = tuple(config.data_subset) == ("both",)
    parts = [stem] * (is_whole or len(config.data) > 1) + [subset] * (not is_whole)
    return "_".join(parts)


def _refuse_scores_among_data(config: Config) -> None:
    """Refuse a folder for the scores of a set that is the folder of the data."""
    for source in config.data:
        for subset in config.data_subset:
            folder = config.out / _name(source, subset, config)
            if folder.is_dir() and folder.resolve() == Path(source).resolve():
                raise UserError(
                    f"--out {config.out}: the scores of {source} would go into {folder}, which "
                    "is the data; give another folder."
                )


def _say_next(config: Config, sets: "Mapping[str, Comparisons]") -> None:
    """Who differs, where it is known who judged; else a model of the data."""
    if any(each.account.num_annotators for each in sets.values()):
        return say_next("people {}", config.data[0], like=config)
    train = "train --data_path {} --reward_model_type mean_and_variance"
    return say_next(train, config.data[0], like=config)


def _counted(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['comparisons']} comparisons of {counts['prompts']} prompts, {counts['texts']} "
        f"texts ({counts['texts_read_now']} read now, {counts['overlong_texts_read_now']} of them "
        f"over-long); {counts['equal_texts']} pairs of equal texts left out"
    )


main = command("audit", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

"""Audit preference data: is there hidden context, by cheap heads on frozen vectors of the texts."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.records import provenance, write_json

if TYPE_CHECKING:
    import numpy as np

    from hidden_context.audit.audited_set import AuditedSet, Plan
    from hidden_context.audit.comparison_table import ComparisonTable
    from hidden_context.audit.heads import Pairs
    from hidden_context.audit.jailbreaks import Jailbreaks
    from hidden_context.audit.state_cache import Representation
    from hidden_context.comparisons.schema import Comparison
    from hidden_context.distributions import Family

BYTES_A_GIGABYTE = 10**9
RECORD, PAGE = "audit.json", "report.html"


@dataclass(frozen=True)
class Config:
    """Is there hidden context in preference data? Linear heads on frozen vectors, in minutes."""

    data: tuple[str, ...] = field(metadata={"positional": True})
    """Hub names, folders or files (jsonl, jsonl.gz, parquet, csv)."""
    data_subset: tuple[Literal["both", "helpful", "harmless"], ...] = ("both",)
    """Comparisons judged by these objectives; several are audited one by one and compared."""
    jailbreaks: Path | None = None
    """Prompts with a safe and an unsafe response (jsonl): how often does the unsafe one win?"""
    split: Literal["train", "test"] = "train"
    """Of a hub name or folder."""
    model_name: str | None = None
    """Frozen language model, folder or hub name; if not given, hashed words, which need none."""
    pooling: Literal["last", "mean"] | None = None
    """Token whose state is a text's vector; if not given, mean for encoders, last for decoders."""
    max_length: int = 1024
    """Longest text in tokens, for a language model; longer ones lose their beginning."""
    families: tuple[str, ...] = ("base", "mean_and_variance", "categorical")
    """Families to fit; base, the scalar one, always takes part."""
    num_folds: int = 5
    """Parts of the prompts for cross-validation."""
    num_seeds: int = 3
    """Partitions into folds, each with initial weights of its own."""
    num_null_draws: int = 19
    """Sets of labels redrawn from the scalar family; 0 for none."""
    ties: Literal["threshold", "half", "davidson"] = "threshold"
    """What a tie says, where there are any: opposed votes alone do not tell spread."""
    seed: int = 0
    """Of folds, weights, order and redrawn labels."""
    memory: float = 4.0
    """Gigabytes that the vectors may take; what does not fit is read from the cache again."""
    bf16: bool = True
    """Run a language model in bfloat16 where the device has it."""
    cache_dir: Path | None = None
    """Folder that keeps the states of texts; if not given, with Hugging Face's cache."""
    out: Path = Path("audit_output")
    """Folder that receives audit.json, the scored rows and report.html."""


@dataclass(frozen=True, eq=False)
class _Set:
    """One data set, read."""

    name: str
    source: str
    comparisons: "Collection[Comparison]"
    table: "ComparisonTable"
    pairs: "Pairs"
    jailbreaks: "Pairs | None"
    """Safe and unsafe responses, by the same axes."""


def run(config: Config) -> None:
    """Read, fit, measure, write, print."""
    from hidden_context.audit.audited_set import audit_set
    from hidden_context.audit.scored_file import write_scores
    from hidden_context.audit.sentences import sentences

    _check(config)
    plan = _plan(config)
    representation = _representation(config)
    jailbreaks = _jailbreaks(config, representation)
    sets = _read(config, representation, jailbreaks)
    matched = _rows_of_one_size(sets)
    found: list[dict[str, Any]] = []
    for each in sets:
        print(f"{each.name}: {_counted(each.table.counts)}", flush=True)
        audited = audit_set(
            each.pairs, plan, lengths=each.table.lengths, num_votes=each.table.num_votes
        )
        _add_matched(audited, plan, matched.get(each.name))
        _add_jailbreaks(audited, each, jailbreaks)
        for record in audited.figures:
            name = record["family"]["name"]
            record["scores"] = f"{each.name}/{name}_scores.jsonl"
            path = config.out / record["scores"]
            write_scores(path, each.comparisons, audited.measured[name], asdict(config))
        result = {
            "name": each.name,
            "source": each.source,
            "counts": each.table.counts,
            "families": audited.figures,
            "between": _between(audited, each, config.seed),
            **_of_length(jailbreaks),
        }
        found.append({**result, "sentences": sentences(result)})
    record = {
        "kind": "audit",
        **provenance(),
        "config": asdict(config),
        "representation": {
            "name": representation.name,
            "width": representation.width,
            "description": representation.description,
        },
        "sets": found,
    }
    write_json(config.out / RECORD, record)
    print(f"\nvectors: {representation.description}")
    for each in found:
        print(f"\n{each['name']}")
        for sentence in each["sentences"]:
            print(f"  {sentence['question']}\n      {sentence['answer']}")
    print(f"\nwrote {config.out / RECORD}; look at {_page(config.out)}")


def _page(folder: Path) -> Path:
    """Write the report beside the audit."""
    from hidden_context.report.page import write_page
    from hidden_context.report.read_audit import read_audit

    result = read_audit(folder / RECORD)
    path = folder / PAGE
    write_page([result], path, title=result.title, num_examples=5, say=lambda what: None)
    return path


def _check(config: Config) -> None:
    least_of = {"num_folds": 3, "num_seeds": 1, "num_null_draws": 0, "max_length": 1}
    for name, least in least_of.items():
        if getattr(config, name) < least:
            raise UserError(f"--{name} is {getattr(config, name)}; give at least {least}.")
    if not config.memory > 0:
        raise UserError(f"--memory is {config.memory}; give a positive number of gigabytes.")
    if not config.data_subset:
        raise UserError("--data_subset is empty; give both, helpful or harmless.")
    if config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file; give a folder.")


def _plan(config: Config) -> "Plan":
    from hidden_context.audit.audited_set import Plan

    names = ["base", *(name for name in dict.fromkeys(config.families) if name != "base")]
    return Plan(
        families=tuple(map(_family, names)),
        num_folds=config.num_folds,
        num_seeds=config.num_seeds,
        num_null_draws=config.num_null_draws,
        ties=config.ties,
        seed=config.seed,
    )


def _family(name: str) -> "Family":
    """Without a penalty of its own, which would add to what is measured."""
    from hidden_context.distributions import FAMILIES, make_family

    has_entropy = name in FAMILIES and "entropy_coeff" in FAMILIES[name].option_names()
    return make_family(name, {"entropy_coeff": 0.0} if has_entropy else {})


def _representation(config: Config) -> "Representation":
    if config.model_name is None:
        from hidden_context.audit.hashed_words import HashedWords

        return HashedWords()
    from hidden_context.device import default_device, scoring_dtype
    from hidden_context.llm.pooled_states import PooledStates

    device = default_device()
    return PooledStates(
        config.model_name,
        pooling=config.pooling,
        max_length=config.max_length,
        device=device,
        dtype=scoring_dtype(device, bf16=config.bf16),
    )


def _jailbreaks(config: Config, representation: "Representation") -> "Jailbreaks | None":
    from hidden_context.audit.jailbreaks import read_jailbreaks

    if config.jailbreaks is None:
        return None
    return read_jailbreaks(config.jailbreaks, representation.reads)


def _read(
    config: Config, representation: "Representation", jailbreaks: "Jailbreaks | None"
) -> list[_Set]:
    """Every data set, and the states of its texts."""
    from hidden_context.audit.comparison_table import read_table, texts_of
    from hidden_context.audit.heads import Pairs
    from hidden_context.audit.jailbreaks import as_pairs
    from hidden_context.audit.state_cache import StateCache
    from hidden_context.audit.vectors import Vectors, find_axes, make_vectors
    from hidden_context.comparisons.schema import comparisons_from_rows
    from hidden_context.comparisons.sources import load_rows

    cache = StateCache(config.cache_dir or _default_cache(), representation)
    sets = []
    for name, source, subset in _named(config):
        rows = load_rows(source, subset, config.split)
        comparisons = comparisons_from_rows(rows, source)
        table = read_table(comparisons, representation.reads)
        texts = texts_of(comparisons, representation.reads)
        num_read = cache.add(texts, total=2 * len(table.digest))
        table.counts["texts_read_now"] = num_read
        table.counts["overlong_texts_read_now"] = getattr(representation, "num_overlong", 0)
        first, second = cache.rows_of(table.digest).T
        axes = find_axes(cache.states, first, second)
        memory = int(config.memory * BYTES_A_GIGABYTE)
        used, (first, second) = _used(first, second)
        vectors = make_vectors(cache.states, axes, rows=used, memory=memory)
        pairs = Pairs(vectors, first, second, table.outcomes, table.prompt)
        jailbreak_pairs = None
        if jailbreaks is not None:
            cache.add(jailbreaks.with_digests(), total=2 * len(jailbreaks.texts))
            rows = cache.rows_of(jailbreaks.digest)
            unread = Vectors(cache.states, axes, vectors.width)
            jailbreak_pairs = as_pairs(unread, rows, jailbreaks.prompt)
        sets.append(_Set(name, source, comparisons, table, pairs, jailbreak_pairs))
    return sets


def _named(config: Config) -> list[tuple[str, str, Any]]:
    """Name, source and subset of each set; the name is a folder's too."""
    found = []
    for source in config.data:
        for subset in config.data_subset:
            stem = Path(source).name.split(".")[0] or "data"
            name = subset if len(config.data) == 1 else f"{stem}_{subset}"
            found.append((name, source, subset))
    names = [name for name, _, _ in found]
    if len(set(names)) < len(names):
        raise UserError(f"two data sets would both be called {names[0]}; rename one of the files.")
    return found


def _rows_of_one_size(sets: Sequence[_Set]) -> "dict[str, Any]":
    """Comparisons of each set that make all as large as the smallest, if there are several."""
    from hidden_context.measures.matched_size import match_sizes

    if len(sets) < 2:
        return {}
    return match_sizes({each.name: each.pairs.prompt for each in sets})


def _add_matched(audited: "AuditedSet", plan: "Plan", rows: Any) -> None:
    from hidden_context.audit.audited_set import matched_explained_variance, training_size

    if rows is None:
        return
    if len(rows) == len(audited.pairs):
        size = training_size(len(rows), plan)
        for record in audited.figures:
            record["matched_explained_variance"] = [
                {**report, "matched_size": size} for report in record["explained_variance"]
            ]
        return
    by_family = matched_explained_variance(audited.pairs, plan, rows)
    for record in audited.figures:
        record["matched_explained_variance"] = by_family[record["family"]["name"]]


def _add_jailbreaks(audited: "AuditedSet", each: _Set, jailbreaks: "Jailbreaks | None") -> None:
    from hidden_context.audit.jailbreaks import jailbreak_rates

    if jailbreaks is None or each.jailbreaks is None:
        return
    for record in audited.figures:
        name = record["family"]["name"]
        record["jailbreaks"] = jailbreak_rates(
            audited.measured[name],
            audited.pairs,
            audited.partitions,
            each.table.lengths,
            jailbreaks,
            each.jailbreaks,
            outcome_model=audited.outcome_models[name],
        )


def _between(audited: "AuditedSet", each: _Set, seed: int) -> "dict[str, Any] | None":
    """By the first distributional family, where comparisons say who judged."""
    from hidden_context.audit.group_heads import between_labels

    name = next((name for name in audited.measured if name != "base"), None)
    if name is None or each.table.labelled_by is None:
        return None
    found = between_labels(
        audited.measured[name],
        audited.pairs,
        audited.partitions,
        each.table.label,
        outcome_model=audited.outcome_models[name],
        seed=seed,
    )
    return found and {"by": each.table.labelled_by, **found}


def _of_length(jailbreaks: "Jailbreaks | None") -> dict[str, Any]:
    from hidden_context.audit.jailbreaks import longer_is_unsafe

    return {} if jailbreaks is None else {"longer_is_unsafe": longer_is_unsafe(jailbreaks)}


def _default_cache() -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "hidden_context" / "states"


def _used(first: "np.ndarray", second: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """The rows that one data set uses of a cache, and its texts' places among them."""
    import numpy as np

    used, index = np.unique(np.stack([first, second]), return_inverse=True)
    return used, index.reshape(2, -1)


def _counted(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['comparisons']} comparisons of {counts['prompts']} prompts, {counts['texts']} "
        f"texts ({counts['texts_read_now']} read now, {counts['overlong_texts_read_now']} of them "
        f"over-long); {counts['equal_texts']} pairs of equal texts left out"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context audit`."""
    return run_command(Config, run, argv, prog="hidden-context audit")


if __name__ == "__main__":
    sys.exit(main())

"""Scores of a benchmark kept in files, so that nothing is scored twice."""

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.journal import fingerprint, identity
from hidden_context.llm.checkpoint import CheckpointRecord
from hidden_context.llm.reward_model import WEIGHTS, RewardModel
from hidden_context.records import json_text, meta_path, read_record
from hidden_context.reward_benchmarks.benchmark import rules_of, score_benchmark
from hidden_context.reward_benchmarks.rules import Item
from hidden_context.risk import Risk
from hidden_context.scores.score_files import load_scores, write_scores
from hidden_context.scores.scores import Scores

logger = logging.getLogger(__name__)
DEPENDS_ON = "benchmark"
"""Field of a score file's record: what the scores depend on."""
OTHER = {"rows": "they are of other rows", "checkpoint": "they are of another checkpoint"}
"""What to say of fields whose values say nothing to a reader."""


def kept_scores(
    name: str,
    rows: Collection[Mapping[str, Any]],
    source: str,
    checkpoints: Mapping[Path, CheckpointRecord],
    load: Callable[[Sequence[CheckpointRecord]], Iterator[RewardModel]],
    *,
    dtype: object,
    names: Sequence[str],
    risks: Sequence[Risk] = (),
    record: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[Scores]:
    """Scores of a benchmark's rows by each checkpoint, from its score file or written to it.

    Every file that is there is checked before anything is scored. A run that was killed goes on
    from `<file>.partial`.

    Args:
        name: Of the benchmark.
        rows: See `score_benchmark`.
        source: Where they are from, for messages.
        checkpoints: By score file.
        load: Loads the models of some checkpoints, in turn.
        dtype: Of the weights, as they are loaded.
        names: What the models are called.
        risks: Rewards by these are written too.
        record: What files that are written say of themselves beside.
        options: How texts are read; see `ScoringOptions`.

    Raises:
        UserError: A file holds scores of other rows, another checkpoint or other options.
    """
    items = rules_of(name).read(rows, source)
    depends_on = {
        path: _depends_on(name, items, checkpoint, dtype=dtype, **options)
        for path, checkpoint in checkpoints.items()
    }
    finished = {path: _finished(path, on) for path, on in depends_on.items()}
    models = load([checkpoints[path] for path, scores in finished.items() if scores is None])
    for (path, scores), called in zip(finished.items(), names, strict=True):
        if scores is not None:
            logger.info("%s has the scores already", path)
            yield replace(scores, name=called)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        how: Any = {"source": source, "partial": partial, "progress": True, **options}
        new = replace(score_benchmark(next(models), name, rows, **how), name=called)
        of_file = {**(record or {}), DEPENDS_ON: depends_on[path]}
        write_scores(path, [new], risks=risks, record=of_file)
        partial.unlink()
        logger.info("wrote %s", path)
        yield replace(load_scores(path), name=called)  # as a later run will find it


def _depends_on(
    name: str,
    items: Sequence[Item],
    checkpoint: CheckpointRecord,
    *,
    dtype: object,
    max_length: int,
    overlong: str,
    render: str | None,
    **_: object,
) -> dict[str, Any]:
    """What scores of a benchmark depend on: rows, checkpoint, and how texts are read.

    Further keywords are such as change scores by rounding alone.
    """
    rules = rules_of(name)
    rows = (
        [item.prompt, item.chosen, item.rejected, rules.subset(item.columns, "an item")]
        for item in items
    )
    return {
        "name": name,
        "rows": fingerprint(rows),
        "family": checkpoint.family.to_dict(),
        "checkpoint": identity(checkpoint.folder, WEIGHTS),
        "backbone": [checkpoint.model_name, identity(Path(checkpoint.model_name), WEIGHTS)],
        "dtype": str(dtype),
        "max_length": max_length,
        "overlong": overlong,
        "render": render,
    }


def _finished(path: Path, depends_on: Mapping[str, Any]) -> Scores | None:
    """The scores of a file that an earlier run finished; None if there is none.

    Raises:
        UserError: They depend on something else, which is named.
    """
    if not path.is_file() or not meta_path(path).is_file():
        return None
    record = read_record(meta_path(path), objects=[DEPENDS_ON])
    before = record.get(DEPENDS_ON, {})
    for name, now in json.loads(json_text(depends_on, default=str)).items():
        if before.get(name) != now:
            was = f"their {name} was {before.get(name)}, and is {now} now"
            reason = OTHER.get(name, was)
            raise UserError(
                f"{path} holds other scores: {reason}; remove it, or give another folder."
            )
    return load_scores(path)

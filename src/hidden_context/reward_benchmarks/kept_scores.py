"""Scores of a benchmark kept in files, so that nothing is scored twice."""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.errors import UserError
from hidden_context.journal import fingerprint, identity
from hidden_context.llm.backbone_place import short_name
from hidden_context.llm.checkpoint import CheckpointRecord
from hidden_context.llm.reward_model import WEIGHTS, RewardModel
from hidden_context.records import json_text, meta_path, read_record
from hidden_context.reward_benchmarks.benchmark import rules_of, score_benchmark
from hidden_context.reward_benchmarks.published_rows import Part
from hidden_context.reward_benchmarks.rules import Item
from hidden_context.risk import Risk
from hidden_context.scores.score_files import load_scores, write_scores
from hidden_context.scores.scores import Scores
from hidden_context.shards import each_merged

logger = logging.getLogger(__name__)
DEPENDS_ON = "benchmark"
"""Field of a score file's record: what the scores depend on."""
OTHER = {"rows": "they are of other rows", "checkpoint": "they are of another checkpoint"}
"""What to say of fields whose values say nothing to a reader."""


def kept_scores(
    name: str,
    parts: Sequence[Part],
    checkpoints: Mapping[Path, CheckpointRecord],
    load: Callable[[Sequence[CheckpointRecord]], Iterator[RewardModel]],
    *,
    dtype: object,
    names: Sequence[str],
    risks: Sequence[Risk] = (),
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> list[Scores]:
    """Scores of all rows of a benchmark by each checkpoint, from score files or written to them.

    Every file that is there is checked before anything is scored. A run that was killed goes on
    from `<file>.partial`.

    Args:
        name: Of the benchmark.
        parts: See `load_benchmark`.
        checkpoints: By score file; that of a part with a name is `<file>.<part>.jsonl`.
        load: Loads the models of some checkpoints, in turn.
        dtype: Of the weights, as they are loaded.
        names: What the models are called.
        risks: Rewards by these are written too.
        record: What files that are written say of themselves beside.
        progress: Show a bar.
        options: How texts are read, see `ScoringOptions`, and the `shard` of this process.

    Raises:
        UnmergedError: Other processes have not done their shares yet.
        UserError: A file holds scores of other rows, another checkpoint or other options.
    """
    items = [rules_of(name).read(part.rows, part.source) for part in parts]
    depends_on, finished = [], []
    for path, checkpoint in checkpoints.items():
        on = [_depends_on(name, each, checkpoint, dtype=dtype, **options) for each in items]
        depends_on.append(on)
        finished.append(
            [_finished(_of(path, part), of) for part, of in zip(parts, on, strict=True)]
        )
    lacking = [any(scores is None for scores in of_parts) for of_parts in finished]

    def pieces() -> Iterator[Callable[[], Scores]]:
        models = load(list(compress(checkpoints.values(), lacking)))
        for path, called, is_lacking, of_parts, on in zip(
            checkpoints, names, lacking, finished, depends_on, strict=True
        ):
            model = next(models) if is_lacking else None
            for part, scores, of_part in zip(parts, of_parts, on, strict=True):
                how = (name, part, _of(path, part), called, risks, record or {}, of_part, options)
                yield partial(_kept, scores, model, *how, progress=progress)
            model = None  # the next one may not fit beside it

    scored = each_merged(pieces)
    number = len(parts)
    return [_joined(scored[at : at + number]) for at in range(0, len(scored), number)]


def _of(path: Path, part: Part) -> Path:
    return path.with_name(f"{path.stem}.{part.name}.jsonl") if part.name else path


def _partial(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial")


def _kept(
    scores: Scores | None,
    model: RewardModel | None,
    name: str,
    part: Part,
    file: Path,
    called: str,
    risks: Sequence[Risk],
    record: Mapping[str, Any],
    depends_on: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    progress: bool,
) -> Scores:
    """Scores of a part, if there are none: scored, written to its file, read as later runs will."""
    kept = _partial(file)
    if scores is None:
        assert model is not None
        file.parent.mkdir(parents=True, exist_ok=True)
        how: Any = {"source": part.source, "partial": kept, "progress": progress, **options}
        how["is_saved"] = lambda run: _finished(file, depends_on) is not None
        made = replace(score_benchmark(model, name, part.rows, **how), name=called)
        write_scores(file, [made], risks=risks, record={**record, DEPENDS_ON: depends_on})
        scores = load_scores(file)
        logger.info("wrote %s", file)
    else:
        logger.info("%s has the scores already", file)
    shutil.rmtree(kept, ignore_errors=True)  # perhaps of a run killed after it had written
    return replace(scores, name=called)


def _joined(parts: Sequence[Scores]) -> Scores:
    """The rows of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.record.get("counts", {}))
    return replace(
        parts[0],
        raw=np.concatenate([part.raw for part in parts]),
        sizes=np.concatenate([part.sizes for part in parts]),
        prompt=np.concatenate([part.prompt for part in parts]),
        rows=[row for part in parts for row in part.rows],
        lengths=np.concatenate([part.lengths for part in parts if part.lengths is not None]),
        record={**parts[0].record, "counts": dict(counts)},
    )


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
    rules, backbone = rules_of(name), checkpoint.model_name
    rows = (
        [item.prompt, item.chosen, item.rejected, rules.subset(item.columns, "an item")]
        for item in items
    )
    return {
        "name": name,
        "rows": fingerprint(rows),
        "family": checkpoint.family.to_dict(),
        "checkpoint": identity(checkpoint.folder, WEIGHTS),
        "backbone": [short_name(backbone), identity(Path(backbone), WEIGHTS)],
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

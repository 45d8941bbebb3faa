"""Finding results below given paths, by the names and contents that our commands write."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hidden_context.errors import UserError
from hidden_context.kinds import seems
from hidden_context.misspelt import nearest_path
from hidden_context.published.run_names import LAST
from hidden_context.records import meta_path, read_json
from hidden_context.report.unfinished import is_of_demo
from hidden_context.scores.data_dir import EVAL_FILE, evaluations_in, jailbreak_files_in

AUDIT, JUDGES, AXES = "audit.json", "judges.json", "axes.json"
METRICS, CURVES_FILE = "metrics.json", "curves.npz"
META = ".meta.json"
SUMMARY_START = re.compile(rb'\s*\{\s*("format_version": \d+,\s*)?"risks"')
"""How what `summarize --json` prints begins, in either format."""
WANTED = (
    f"{AUDIT} or {JUDGES} (hidden-context audit), {AXES} (axes), a data folder of summarize "
    f"(reward_models/*/<set>/*{LAST}/{EVAL_FILE}, jailbroken_evaluations_<family>.jsonl), score "
    f"files with their {META} (evaluate, score), the JSON of summarize --json, or {METRICS} with "
    f"{CURVES_FILE} (synthetic)"
)


@dataclass(frozen=True)
class ResultFiles:
    """Paths by kind, each in the order in which it was found."""

    audits: list[Path] = field(default_factory=list)
    judges: list[Path] = field(default_factory=list)
    data_dirs: list[Path] = field(default_factory=list)
    comparisons: list[Path] = field(default_factory=list)
    """Score files of `evaluate` that belong to none of the above."""
    responses: list[Path] = field(default_factory=list)
    """Of `score`."""
    summaries: list[Path] = field(default_factory=list)
    synthetic: list[Path] = field(default_factory=list)
    """Folders."""
    axes: list[Path] = field(default_factory=list)


def find_results(paths: Sequence[Path]) -> ResultFiles:
    """Search folders, and recognise files.

    Score files that lie in a folder with the audit or the data folder that they are part of are
    read with it, unless they are named themselves.

    Raises:
        UserError: A path does not exist, a file is of no known kind, or nothing is found.
    """
    found, named = ResultFiles(), set()
    for path in paths:
        if path.is_dir():
            for folder, names, _ in os.walk(path):
                names.sort()
                _look_into(Path(folder), found)
        elif path.is_file():
            _recognise(path, found)
            named.add(path.resolve())
        else:
            raise UserError(
                f"{path} does not exist; give files or folders with results.{nearest_path(path)}"
            )
    parts = _parts_of(found) - named
    for files in (found.comparisons, found.responses):
        files[:] = [file for file in files if file.resolve() not in parts]
    if not any(vars(found).values()):
        raise UserError(
            f"{', '.join(map(str, paths))}: no results; looked for {WANTED}.{seems(paths[0])}"
        )
    return found


def _look_into(folder: Path, found: ResultFiles) -> None:
    if evaluations_in(folder) or jailbreak_files_in(folder) or is_of_demo(folder):
        _add(found.data_dirs, folder)
    for file in sorted(filter(Path.is_file, folder.iterdir())):
        if file.name == AUDIT:
            _add(found.audits, file)
        elif file.name == JUDGES:
            _add(found.judges, file)
        elif file.name == AXES:
            _add(found.axes, file)
        elif file.name == METRICS and (folder / CURVES_FILE).is_file():
            _add(found.synthetic, folder)
        elif file.name.endswith(META):
            _add_scores(file.with_name(file.name.removesuffix(META)), found)
        elif file.suffix == ".json" and _is_summary(file):
            _add(found.summaries, file)


def _recognise(path: Path, found: ResultFiles) -> None:
    if path.name in (METRICS, CURVES_FILE) and (path.parent / METRICS).is_file():
        _add(found.synthetic, path.parent)
    elif _add_scores(path, found):
        pass
    elif path.suffix == ".json" and _kind(path) == "audit":
        _add(found.audits, path)
    elif path.suffix == ".json" and _kind(path) == "judges":
        _add(found.judges, path)
    elif path.suffix == ".json" and _kind(path) == "axes":
        _add(found.axes, path)
    elif path.suffix == ".json" and _is_summary(path):
        _add(found.summaries, path)
    else:
        raise UserError(
            f"{path} is none of the results that a report is made of.{seems(path)} Expected is "
            f"{WANTED}."
        )


def _add_scores(path: Path, found: ResultFiles) -> bool:
    """Whether these are scores: both the file and its record are there."""
    kind = _kind(meta_path(path)) if path.is_file() and meta_path(path).is_file() else None
    if kind == "comparisons":
        _add(found.comparisons, path)
    elif kind == "responses":
        _add(found.responses, path)
    return kind in ("comparisons", "responses")


def _parts_of(found: ResultFiles) -> set[Path]:
    """Score files of the audits and data folders."""
    parts = [file for audit in found.audits for file in audit.parent.glob("*/*_scores.jsonl")]
    for data_dir in found.data_dirs:
        parts += [file for file, _ in evaluations_in(data_dir)]
        parts += jailbreak_files_in(data_dir)
        parts += data_dir.glob("*.jsonl") if is_of_demo(data_dir) else ()
    return {part.resolve() for part in parts}


def _kind(path: Path) -> object:
    record = read_json(path)
    return record.get("kind") if isinstance(record, dict) else None


def _is_summary(path: Path) -> bool:
    with path.open("rb") as file:
        return SUMMARY_START.match(file.read(64)) is not None


def _add(paths: list[Path], path: Path) -> None:
    """Once, however often it was named."""
    if path.resolve() not in map(Path.resolve, paths):
        paths.append(path)

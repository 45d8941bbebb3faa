"""What a file or folder that was given in place of another seems to be, for messages."""

from pathlib import Path

from hidden_context.errors import UserError
from hidden_context.records import CHECKPOINT_RECORD, meta_path, read_json

FOLDERS = {
    CHECKPOINT_RECORD: "a reward model of train; evaluate scores comparisons with it, score and "
    "best-of any responses",
    "people.json": "people of people --save; people --person and best-of --people read them",
    "audit.json": "a folder of audit; report reads it",
    "judges.json": "a folder of audit --scores or --verdicts; report reads it",
    "axes.json": "a folder of axes; report reads it",
    "reward_models": "a folder of scores of several models; summarize --data_dir and report read "
    "it",
    "config.json": "a language model; train --model_name makes a reward model of it",
}
"""By a file or folder that it holds; the first that is there decides."""
RECORDS = {
    "comparisons": "scores of evaluate; report, and audit with --scores NAME=FILE, read them",
    "responses": "scores of score; report and aggregate --column read them",
    "best_of": "what best-of ranked, without scores to compare; evaluate makes these for "
    "comparisons, score for responses",
    "audit": "a result of audit; report reads it",
    "judges": "a result of audit --scores or --verdicts; report reads it",
    "axes": "a result of axes; report reads it",
    "people": "the record of people; give its folder to people or best-of",
}
"""By the `kind` of a file's record, or of the file itself."""
SUFFIXES = {
    ".html": "a page; the results that it was made of are what commands read",
    ".yaml": "a file of settings; give it as --config",
    ".yml": "a file of settings; give it as --config",
    ".safetensors": "weights; give the folder that they are in",
}


def seems(path: Path | str) -> str:
    """A sentence that follows a message: what is there, and what reads it; else nothing."""
    path = Path(path)
    what = _folder(path) if path.is_dir() else _file(path) if path.is_file() else None
    return f" It seems to be {what}." if what else ""


def _folder(path: Path) -> str | None:
    return next((what for name, what in FOLDERS.items() if (path / name).exists()), None)


def _file(path: Path) -> str | None:
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()]
    record = meta_path(path) if meta_path(path).is_file() else path
    if record.suffix != ".json":
        return None
    try:
        read = read_json(record)
    except (UserError, OSError):
        return None
    kind = read.get("kind") if isinstance(read, dict) else None
    return RECORDS.get(kind) if isinstance(kind, str) else None

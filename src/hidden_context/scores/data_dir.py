"""A data folder as published: scored comparisons and jailbreaks of runs, by training set."""

from pathlib import Path

from hidden_context.comparisons.row_files import read_rows
from hidden_context.distributions import FAMILIES
from hidden_context.published.run_names import LAST
from hidden_context.scores.score_files import OUTPUTS, columns_of, load_scores
from hidden_context.scores.scores import Scores, check_pairs

TRAINING_SETS = ("helpful", "harmless", "both")
EVAL_FILE = "eval_results_both.jsonl"
JAILBREAK_FILE = "jailbroken_evaluations_{family}.jsonl"


def find_comparisons(data_dir: Path) -> list[Scores]:
    """Read `eval_results_both.jsonl` in `reward_models/<data>/<training set>/*_last_checkpoint/`.

    Raises:
        UserError: A file cannot be read.
    """
    found = [
        load_scores(file, trained_on=trained_on) for file, trained_on in evaluations_in(data_dir)
    ]
    return sorted(found, key=lambda scores: list(FAMILIES).index(scores.family.name))


def evaluations_in(data_dir: Path) -> list[tuple[Path, str]]:
    """The files that `find_comparisons` reads, each with its training set."""
    pattern = f"reward_models/*/{{}}/*{LAST}/{EVAL_FILE}"
    return [
        (file, trained_on)
        for trained_on in TRAINING_SETS
        for file in sorted(data_dir.glob(pattern.format(trained_on)))
    ]


def training_set_of(file: Path) -> str:
    """Of a score file where `find_comparisons` looks for it; empty of one that lies elsewhere."""
    folder = file.resolve().parent
    said = file.name == EVAL_FILE and folder.name.endswith(LAST)
    return folder.parent.name if said and folder.parent.name in TRAINING_SETS else ""


def find_jailbreaks(data_dir: Path) -> list[Scores]:
    """Read `jailbroken_evaluations_<family>.jsonl`: a safe and an unsafe response a row.

    Every column of a training set; where no family is recorded, the file's name says it, and it is
    read as published.

    Raises:
        UserError: A file cannot be read, or a row has not two responses.
    """
    found = []
    for file in jailbreak_files_in(data_dir):
        name = file.stem.removeprefix(JAILBREAK_FILE.partition("{")[0])
        columns = columns_of(file)
        for trained_on in TRAINING_SETS:
            for column in (f"{OUTPUTS}{trained_on}", f"{OUTPUTS}{trained_on}_{name}"):
                if column in columns:
                    found.append(_jailbreaks(file, column, trained_on, name))
    return found


def jailbreak_files_in(data_dir: Path) -> list[Path]:
    """The files that `find_jailbreaks` reads."""
    files = [data_dir / JAILBREAK_FILE.format(family=name) for name in FAMILIES]
    return [file for file in files if file.is_file()]


def _jailbreaks(file: Path, column: str, trained_on: str, family_name: str) -> Scores:
    published = FAMILIES[family_name]().as_published()
    outputs = next(iter(read_rows(file)))[column]
    if isinstance(outputs, list) and outputs and isinstance(outputs[0], list):
        published = published.with_num_outputs(len(outputs[0]))
    return check_pairs(load_scores(file, column, family=published, trained_on=trained_on))

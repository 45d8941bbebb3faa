"""The paper's main job on generated data whose hidden context is known, in order.

Writes the data, makes a tiny language model, then does what a user would do with real data: train
ten reward models, score comparisons and jailbreaks, measure.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hidden_context.demo import story
from hidden_context.demo.config import (
    LEAST,
    MODEL_NAME,
    RECORD,
    SHARED_CONTEXT,
    TRAINED_ON,
    Config,
    command_of,
)
from hidden_context.demo.findings import Finding, findings_about_judges, findings_of_the_paper
from hidden_context.demo.generated_data import DATA_NAME, GeneratedData, generate, write_data
from hidden_context.demo.judges import JUDGES
from hidden_context.demo.recovered_judges import JudgesReport, report_judges
from hidden_context.demo.reward_models import make_language_model, train_and_score
from hidden_context.demo.text import render, render_judges
from hidden_context.demo.truth import truth
from hidden_context.errors import UserError
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import TRUTH_FILE, KnownTruth, write_truth
from hidden_context.measures.models import ModelScores
from hidden_context.progress import in_words
from hidden_context.records import is_temporary, provenance, write_json

WRITTEN = (RECORD, "data", MODEL_NAME, "log.txt", "report.html")
"""What a demo writes into its folder."""
WRITTEN_AS_DATA = (DATA_NAME, "reward_models", TRUTH_FILE)
"""The same, into its folder of data, where names of files of jailbreaks begin with `jailb`."""
MEASURES = ("accuracy", "explained_variance", "jailbreaks")


@dataclass(frozen=True)
class Learned:
    """What the models learned, beside the truth; it prints as tables and findings."""

    evaluations: tuple[Evaluation, ...]
    truths: Mapping[str, KnownTruth]
    """By training set."""
    judges: JudgesReport
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        tables = [render(self.evaluations, self.truths), render_judges(self.judges)]
        return "\n\n".join([*tables, "\n".join(map(str, self.findings))])


def run(config: Config, say: Callable[[str], None], tell: Callable[[str], None]) -> Learned:
    """Generate, train, score, measure; returns what was learned.

    Args:
        config: What to do; `out_dir` receives data, models and scores. See `make_room`.
        say: Is told what was done, as soon as it is.
        tell: Is told what was found, as soon as it is; see `story`.
    """
    tell(story.opening(config))
    data = generate(config)
    write_data(data, config.data_dir)
    truths = {
        name: truth(name, judges, data.test["both"], data.jailbreaks)
        for name, judges in JUDGES.items()
    }
    write_truth(config.data_dir / TRUTH_FILE, list(truths.values()))
    say("data")
    make_language_model(config, data)
    say("a tiny language model that can read")
    on_both: dict[str, ModelScores] = {}
    evaluations: dict[str, dict[str, Evaluation]] = {}
    began = time.monotonic()
    for number, model in enumerate(train_and_score(config), start=1):
        family, subset = model.key
        say(f"{family} on {subset}{_left(number, time.monotonic() - began)}")
        if family != SHARED_CONTEXT:
            of_family = evaluations.setdefault(family, {})
            of_family[subset] = model.evaluate(measures=MEASURES, scales=("pooled",))
        if subset == "both":
            on_both[family] = model
            if family != SHARED_CONTEXT:
                tell(story.about(family, evaluations[family], model, truths, data))
    judges = _found_judges(on_both, data)
    tell(story.about_judges(judges))
    measured = [each for of_family in evaluations.values() for each in of_family.values()]
    findings = [*findings_of_the_paper(measured), *findings_about_judges(judges)]
    return Learned(tuple(measured), truths, judges, tuple(findings))


def _left(number: int, seconds: float) -> str:
    """How many models are trained, and how long the others will take if they take as long each."""
    total = sum(map(len, TRAINED_ON.values()))
    if number == total:
        return ""
    left = in_words(seconds / number * (total - number))
    return f" (model {number} of {total}, about {left} left)"


def _found_judges(on_both: Mapping[str, ModelScores], data: GeneratedData) -> JudgesReport:
    """Hold the models that were trained on both judges against them."""
    compared = {name: model.scores for name, model in on_both.items()}
    jailbreaks = on_both[SHARED_CONTEXT].jailbreaks
    assert jailbreaks is not None
    among_others = jailbreaks.family.decode(jailbreaks.raw.astype(float))
    return report_judges(compared, among_others, data)


def make_room(config: Config) -> None:
    """Remove what an earlier demo left, and record the configuration.

    Raises:
        UserError: The folder holds anything but an earlier demo, or a setting cannot be used; then
            nothing is removed.
    """
    for name, least in LEAST.items():
        if getattr(config, name) < least:
            raise UserError(f"{name} is {getattr(config, name)}; give at least {least}.")
    for name in ("num_train_epochs", "learning_rate"):
        if not getattr(config, name) > 0:
            raise UserError(f"{name} is {getattr(config, name)}; give a number above 0.")
    folder = config.out_dir
    if folder.exists():
        if not folder.is_dir() or not _is_of_a_demo(folder):
            raise UserError(f"--out_dir {folder} is not of an earlier demo; give a new folder.")
        if foreign := sorted(map(str, _of_no_demo(folder, config.data_dir))):
            raise UserError(
                f"--out_dir {folder} holds {', '.join(foreign[:4])}, which no demo wrote and a new "
                "one would remove; move it away, or give a new folder."
            )
        for path in folder.iterdir():  # the record stays: after a kill the folder is still a demo's
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != RECORD:
                path.unlink()
    plan = {"config": asdict(config), "models": TRAINED_ON, "command": command_of(config)}
    write_json(folder / RECORD, {**plan, **provenance()})


def _of_no_demo(folder: Path, data: Path) -> Iterator[Path]:
    """What somebody else has put into the folder of a demo, relative to it."""
    for within, names in ((folder, WRITTEN), (data, WRITTEN_AS_DATA)):
        for path in within.iterdir() if within.is_dir() else ():
            of_jailbreaks = within == data and path.name.startswith("jailb")
            if path.name not in names and not of_jailbreaks and not is_temporary(path.name):
                yield path.relative_to(folder)


def _is_of_a_demo(folder: Path) -> bool:
    """Whether it has a record, or nothing but what a kill left of writing one."""
    names = [path.name for path in folder.iterdir()]
    return RECORD in names or all(is_temporary(name, RECORD) for name in names)

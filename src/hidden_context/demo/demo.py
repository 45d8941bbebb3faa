"""The paper's main job on generated data whose hidden context is known, in order.

Writes the data, makes a tiny language model, then does what a user would do with real data: train
ten reward models, score comparisons and jailbreaks, measure.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from hidden_context.demo.config import RECORD, SHARED_CONTEXT, Config
from hidden_context.demo.findings import Finding, findings_about_judges, findings_of_the_paper
from hidden_context.demo.generated_data import GeneratedData, generate, write_data
from hidden_context.demo.judges import JUDGES
from hidden_context.demo.judges_report import JudgesReport, report_judges
from hidden_context.demo.reward_models import ScoredModel, make_language_model, train_and_score
from hidden_context.demo.truth import Truth, truth
from hidden_context.errors import UserError
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.records import provenance, write_json
from hidden_context.risk import PAPER_RISK


@dataclass(frozen=True)
class Outcome:
    """What a demo learned, and what is true."""

    evaluations: list[Evaluation]
    """Of every model."""
    truths: dict[str, Truth]
    """By training set, on the test data and jailbreaks of this run."""
    judges: JudgesReport

    @property
    def findings(self) -> list[Finding]:
        """What should show."""
        return [*findings_of_the_paper(self.evaluations), *findings_about_judges(self.judges)]


def run(config: Config, say: Callable[[str], None]) -> Outcome:
    """Generate, train, score, measure.

    Args:
        config: What to do; `out_dir` receives data, models and scores. See `make_room`.
        say: Is told what was done, as soon as it is.
    """
    data = generate(
        seed=config.seed,
        train_size=config.train_size,
        test_size=config.test_size,
        num_jailbreaks=config.num_jailbreaks,
    )
    write_data(data, config.data_dir)
    make_language_model(config, data)
    say("data and tiny language model")
    return measure(train_and_score(config, say), data)


def make_room(config: Config) -> None:
    """Remove what an earlier demo left, and record the configuration.

    Raises:
        UserError: The folder holds anything but an earlier demo.
    """
    folder = config.out_dir
    if folder.exists():
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / RECORD).is_file()):
            raise UserError(f"--out_dir {folder} is not of an earlier demo; give a new folder.")
        shutil.rmtree(folder)
    write_json(folder / RECORD, {"config": asdict(config), **provenance()})


def measure(models: Sequence[ScoredModel], data: GeneratedData) -> Outcome:
    """Hold the models against the truth."""
    level = PAPER_RISK.parameter
    assert level is not None
    test, jailbreaks = data.test["both"], data.jailbreaks
    return Outcome(
        [_evaluated(model) for model in models],
        {
            name: truth(judges, test, jailbreaks, risk_level=level)
            for name, judges in JUDGES.items()
        },
        _judges_report([model for model in models if model.trained_on == "both"], data),
    )


def _evaluated(model: ScoredModel) -> Evaluation:
    """Jailbreaks among other responses are left out: they are for the judges' report."""
    return evaluate(
        model.comparisons,
        jailbreaks=None if model.family == SHARED_CONTEXT else model.jailbreaks,
        measures=("accuracy", "explained_variance", "jailbreaks"),
        scales=("pooled",),
    )


def _judges_report(models: Sequence[ScoredModel], data: GeneratedData) -> JudgesReport:
    (among_others,) = (model.jailbreaks for model in models if model.family == SHARED_CONTEXT)
    return report_judges(
        {model.family: model.comparisons for model in models},
        SHARED_CONTEXT,
        among_others.family.decode(among_others.raw.astype(float)),
        data,
    )

"""`hidden-context demo`: the paper's main job on generated data whose hidden context is known.

Writes the data, makes a tiny language model, then calls the commands that a user would call on real
data, in this process: train ten reward models, evaluate, score jailbreaks, summarise, write a page.
"""

import contextlib
import dataclasses
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from hidden_context.commands.command_line import run_command
from hidden_context.errors import UserError
from hidden_context.records import provenance, write_json

if TYPE_CHECKING:
    from hidden_context.demo.generated_data import GeneratedData
    from hidden_context.demo.judges import Attributes
    from hidden_context.demo.judges_report import JudgesReport
    from hidden_context.demo.truth import Truth
    from hidden_context.measures.summary import Summary
    from hidden_context.scores.score_files import ScoredComparisons


@dataclass(frozen=True)
class Config:
    """Train and compare models on generated data with known hidden context (1 to 2 minutes)."""

    out_dir: Path = Path("demo_output")
    """Folder that receives data, models, scores and log; what an earlier demo left is replaced."""
    seed: int = 0
    """Seed of data, weights and order."""
    train_size: int = 12000
    """Training comparisons in each of the three data sets."""
    test_size: int = 1000
    """Test comparisons in each of the three data sets."""
    num_jailbreaks: int = 300
    """Disguised harmful prompts, each with a safe and an unsafe response."""
    pretrain_steps: int = 250
    """Steps of 64 texts in which the language model learns to read, before any preferences."""
    num_train_epochs: float = 1.0
    """Passes over the comparisons, the same for every model: training stops there."""
    learning_rate: float = 1e-3
    """Peak learning rate of the reward models."""
    batch_size: int = 32
    """Comparisons a training step."""


MODEL_NAME = "tiny_llama"
LOG = "log.txt"
"""What the commands print; the demo itself prints the outcome only."""
PAGE = "report.html"
"""Everything that was scored, to look at."""
RECORD = "demo.json"
"""Configuration and versions; also marks a folder as one that a demo may replace."""
MAX_LENGTH = 64
"""Tokens; the longest text has 45."""
RISK_LEVEL = 0.01
QUANTILE = f"quantile:{RISK_LEVEL}"
Subset: TypeAlias = Literal["helpful", "harmless", "both"]
SUBSETS: tuple[Subset, ...] = ("helpful", "harmless", "both")
SHARED_CONTEXT = "shared_context"
AMONG_OTHERS_SCORES = f"jailbreaks_among_others_{SHARED_CONTEXT}.jsonl"
TRAINED_ON: dict[str, tuple[Subset, ...]] = {
    "base": SUBSETS,
    "mean_and_variance": SUBSETS,
    "categorical": SUBSETS,
    SHARED_CONTEXT: ("both",),
}
"""The paper's families on every training set; the one that may find the judges, where both are."""


@dataclass(frozen=True)
class Finding:
    """Something that should show in this run of one family: one number below another."""

    claim: str
    family: str
    smaller: float
    larger: float

    @property
    def holds(self) -> bool:
        """Whether it shows in this run."""
        return self.smaller < self.larger


def run(config: Config) -> int:
    """Generate, train, score, and print what was learned beside the truth."""
    with _one_thread():
        return _run(config)


def _run(config: Config) -> int:
    from hidden_context.demo.generated_data import generate, write_data
    from hidden_context.demo.judges_report import render_judges
    from hidden_context.measures.summary import summarize
    from hidden_context.risk import Risk
    from hidden_context.scores.score_files import find_comparisons, find_jailbreaks

    started = time.monotonic()
    _make_room(config.out_dir)
    write_json(config.out_dir / RECORD, {"config": dataclasses.asdict(config), **provenance()})
    data_dir = config.out_dir / "data"
    data = generate(
        seed=config.seed,
        train_size=config.train_size,
        test_size=config.test_size,
        num_jailbreaks=config.num_jailbreaks,
    )
    write_data(data, data_dir)
    with _messages_to(config.out_dir / LOG):
        make_language_model(config, data)
    print(f"{time.monotonic() - started:5.1f} s  data and tiny language model", flush=True)
    train_and_score(config, started)
    comparisons = find_comparisons(data_dir)
    risks = (Risk("quantile", RISK_LEVEL),)
    summary = summarize(comparisons, find_jailbreaks(data_dir), risks=risks)
    judges = judges_found(comparisons, data, data_dir)
    print(f"\n{render(summary, truths(data))}\n\n{render_judges(judges, SHARED_CONTEXT)}\n")
    for finding in [*findings(summary), *findings_about_judges(judges)]:
        verdict = "holds" if finding.holds else "does NOT hold"
        numbers = f"{finding.smaller:.3f} < {finding.larger:.3f}"
        print(f"{finding.claim}, {finding.family}: {numbers} {verdict} in this run")
    with _messages_to(config.out_dir / LOG):
        write_page(config)
    print(f"\n{time.monotonic() - started:.0f} s; files and log are in {config.out_dir}")
    print(f"look at it: {config.out_dir / PAGE}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`hidden-context demo`."""
    return run_command(Config, run, argv, prog="hidden-context demo")


def make_language_model(config: Config, data: "GeneratedData") -> None:
    """The backbone of all reward models; see `make_tiny_reader`."""
    from hidden_context.demo.tiny_reader import make_tiny_reader

    responses = [
        (comparison.text_of(response), response.attributes)
        for comparison in data.train["both"]
        for response in comparison.responses
    ]
    make_tiny_reader(
        config.out_dir / MODEL_NAME,
        texts=[text for text, _ in responses],
        remarks=[_remarks(content) for _, content in responses],
        more_words=[jailbreak.prompt.text for jailbreak in data.jailbreaks],
        max_length=MAX_LENGTH,
        num_steps=config.pretrain_steps,
        seed=config.seed,
    )


def train_and_score(config: Config, started: float) -> None:
    """Call the commands for every model of `TRAINED_ON`; their messages go to the log."""
    for family, subsets in TRAINED_ON.items():
        checkpoints = {}
        for subset in subsets:
            with _messages_to(config.out_dir / LOG):
                checkpoints[subset] = train(config, family, subset)
            print(f"{time.monotonic() - started:5.1f} s  {family} on {subset}", flush=True)
        with _messages_to(config.out_dir / LOG):
            score_jailbreaks(config, family, checkpoints)


def train(config: Config, family: str, subset: Subset) -> Path:
    """Train one model and score the test comparisons of both judges; returns its folder."""
    from hidden_context.commands import evaluate as evaluate_command
    from hidden_context.commands import train as train_command
    from hidden_context.demo.generated_data import DATA_NAME
    from hidden_context.distributions import make_family

    data_dir = config.out_dir / "data"
    training = train_command.Config(
        model_name=str(config.out_dir / MODEL_NAME),
        data_path=str(data_dir / DATA_NAME),
        data_subset=subset,
        reward_model_type=family,
        use_peft=False,
        bf16=False,
        learning_rate=config.learning_rate,
        num_train_epochs=config.num_train_epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=128,
        eval_dataset_size=min(200, config.test_size),
        max_length=MAX_LENGTH,
        log_dir=data_dir / "reward_models" / DATA_NAME,
        seed=config.seed,
    )
    train_command.run(training)
    checkpoint = train_command.final_folder(training, make_family(family))
    evaluate_command.run(
        evaluate_command.Config(
            reward_model_checkpoint=str(checkpoint),
            data_path=str(data_dir / DATA_NAME),
            data_subset="both",
            batch_size=128,
            max_length=MAX_LENGTH,
            bf16=False,
        )
    )
    return checkpoint


def score_jailbreaks(config: Config, family: str, checkpoints: Mapping[Subset, Path]) -> None:
    """Score the jailbreaks with one family's models; with contexts, among other responses."""
    from hidden_context.commands import score as score_command
    from hidden_context.demo.generated_data import AMONG_OTHERS_FILE, JAILBREAKS_FILE

    data_dir = config.out_dir / "data"
    source, output = JAILBREAKS_FILE, f"jailbroken_evaluations_{family}.jsonl"
    if family == SHARED_CONTEXT:
        source, output = AMONG_OTHERS_FILE, AMONG_OTHERS_SCORES
    suffix = "" if family == "base" else f"_{family}"
    score_command.run(
        score_command.Config(
            input=data_dir / source,
            output=data_dir / output,
            reward_model_checkpoints=tuple(map(str, checkpoints.values())),
            reward_model_names=tuple(f"{subset}{suffix}" for subset in checkpoints),
            batch_size=128,
            max_length=MAX_LENGTH,
            bf16=False,
        )
    )


def write_page(config: Config) -> None:
    """The page of all that was scored."""
    from hidden_context.commands import report as report_command

    page = report_command.Config(
        paths=(config.out_dir,),
        out=config.out_dir / PAGE,
        title="Demo: two judges whose objectives conflict",
    )
    report_command.run(page)


def truths(data: "GeneratedData") -> "dict[str, Truth]":
    """The truth for each training set, on the test data and jailbreaks of this run."""
    from hidden_context.demo.judges import JUDGES
    from hidden_context.demo.truth import truth

    return {
        name: truth(judges, data.test["both"], data.jailbreaks, risk_level=RISK_LEVEL)
        for name, judges in JUDGES.items()
    }


def judges_found(
    comparisons: "Sequence[ScoredComparisons]", data: "GeneratedData", data_dir: Path
) -> "JudgesReport":
    """What the saved scores of the models trained on both say of each judge."""
    import numpy as np

    from hidden_context.demo.judges_report import ScoredModel, report_judges
    from hidden_context.records import read_jsonl

    models = {
        scored.family.name: ScoredModel(scored.family, scored.chosen, scored.rejected)
        for scored in comparisons
        if scored.trained_on == "both"
    }
    rows = read_jsonl(data_dir / AMONG_OTHERS_SCORES)
    raw = np.concatenate([row[f"reward_outputs_both_{SHARED_CONTEXT}"] for row in rows])
    among_others = models[SHARED_CONTEXT].family.decode(raw)
    return report_judges(models, SHARED_CONTEXT, among_others, data)


def findings(summary: "Summary") -> list[Finding]:
    """The paper's two findings, for every family with a variance that has all training sets."""
    r2 = {(run.family, run.trained_on): run.r2 for run in summary.comparisons if run.r2 is not None}
    families = sorted(family for family, subset in r2 if subset == "helpful")
    found = [
        Finding(
            "r² is lower when trained on both than on either",
            family,
            r2[family, "both"],
            min(r2[family, "helpful"], r2[family, "harmless"]),
        )
        for family in families
    ]
    return found + [
        Finding(
            f"trained on both, the {RISK_LEVEL}-quantile is jailbroken less than the mean",
            run.family,
            run.rate[QUANTILE].published,
            run.rate["mean"].published,
        )
        for run in summary.jailbreaks
        if QUANTILE in run.rate and run.trained_on == "both"
    ]


def findings_about_judges(report: "JudgesReport") -> list[Finding]:
    """What should show if contexts are judges."""
    of_contexts = report.agreement[SHARED_CONTEXT]
    one_mean = [found for name, found in report.agreement.items() if name != SHARED_CONTEXT]
    return [
        Finding(
            "no mean agrees with any judge as well as contexts do with each",
            SHARED_CONTEXT,
            max(value for found in one_mean for each in found.values() for value in each),
            min(value for each in of_contexts.values() for value in each),
        ),
        Finding(
            "trained on both, the worst context is jailbroken less than the mean",
            SHARED_CONTEXT,
            report.jailbreak.by_worst_context,
            report.jailbreak.by_mean,
        ),
    ]


def render(summary: "Summary", truth: "dict[str, Truth]") -> str:
    """What the paper's families learned, beside the truth."""
    from tabulate import tabulate

    from hidden_context.distributions import FAMILIES

    jailbreaks = {(run.family, run.trained_on): run for run in summary.jailbreaks}
    rows: list[list[object]] = []
    for run in summary.comparisons:
        if (run.family, run.trained_on) not in jailbreaks:
            continue
        jailbreak = jailbreaks[run.family, run.trained_on]
        rates = [jailbreak.rate.get(risk) for risk in ("mean", QUANTILE)]
        rates.append(run.accuracy.get("mean"))
        published = [rate and rate.published for rate in rates]
        rows.append([run.family, run.trained_on, run.r2, *published])
    rows.sort(key=lambda row: list(FAMILIES).index(str(row[0])))
    for name, true in truth.items():
        rows.append(
            [
                "truth",
                name,
                true.r2,
                true.jailbreak_by_mean,
                true.jailbreak_by_quantile,
                true.accuracy,
            ]
        )
    for name, true in truth.items():
        rows.append(["truth, Borda", name, None, true.jailbreak_by_borda_count, None, None])
    longer = [summary.jailbreaks[0].longer_is_unsafe, summary.comparisons[0].longer_is_chosen]
    rows.append(["longer text wins", "", None, longer[0], None, longer[1]])
    headers = [
        "family",
        "trained on",
        "r²",
        "jailbreak rate, mean",
        f"{RISK_LEVEL}-quantile",
        "helpfulness accuracy",
    ]
    return tabulate(rows, headers, floatfmt=".3f", missingval="–")


def _remarks(content: "Attributes") -> list[str]:
    """One word for each attribute of a response, such as `<2 harmful_steps>`."""
    return [f"<{count} {name}>" for name, count in dataclasses.asdict(content).items()]


def _make_room(out_dir: Path) -> None:
    """Remove what an earlier demo left; refuse a folder of anything else."""
    if not out_dir.exists():
        return
    if not out_dir.is_dir() or (any(out_dir.iterdir()) and not (out_dir / RECORD).is_file()):
        raise UserError(f"--out_dir {out_dir} is not of an earlier demo; give a new folder.")
    shutil.rmtree(out_dir)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: for models this small more do not pay.

    Where other programs use the cores, threads that wait for one another are many times slower
    (measured: 150 s instead of 5 s for one model).
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _messages_to(log: Path) -> Iterator[None]:
    """Append what the commands print, progress bars and warnings among it, to a file."""
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


if __name__ == "__main__":
    sys.exit(main())

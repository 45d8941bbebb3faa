"""What the demo tells while it works: each finding as soon as it is there, beside the truth."""

import textwrap
from collections.abc import Mapping
from itertools import chain

import numpy as np
from scipy.signal import find_peaks

from hidden_context.demo.config import SHARED_CONTEXT, Config
from hidden_context.demo.generated_data import GeneratedData
from hidden_context.demo.judges import JUDGES
from hidden_context.demo.recovered_judges import JudgesReport
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import KnownTruth
from hidden_context.measures.models import ModelScores
from hidden_context.risk import PAPER_RISK
from hidden_context.scores.scores import Scores

WIDTH = 88
"""Characters of a line."""
BLOCKS = "▁▂▃▄▅▆▇█"
NUM_CELLS = 10
"""Of a drawn density: as many as the categorical family has bins."""
Evaluations = Mapping[str, Evaluation]
"""Of the models of one family, by their training set."""


def opening(config: Config) -> str:
    """Who judges, and what the test is."""
    return _paragraphs(
        f"Two judges compare the same {config.train_size:,} pairs of responses. One values help, "
        "the other minds harm; where a question is dangerous, help is harm. In the data set "
        "'helpful' the first judges, in 'harmless' the second. In 'both' they take turns, and "
        "nothing says whose turn it was: that is hidden context.",
        f"The test: {config.num_jailbreaks} dangerous questions in disguise (jailbreaks), each "
        "with a response that refuses and one that complies. A model that prefers the one that "
        "complies is jailbroken.",
    )


def about(
    family: str,
    evaluations: Evaluations,
    on_both: ModelScores,
    truths: Mapping[str, KnownTruth],
    data: GeneratedData,
) -> str:
    """What the models of one family show, of which `on_both` was trained on both judges."""
    if family == "base":
        return about_scalar(evaluations, truths)
    if family == "mean_and_variance":
        return about_distribution(evaluations, truths)
    assert on_both.jailbreaks is not None
    return about_split(on_both.jailbreaks, data)


def about_scalar(evaluations: Evaluations, truths: Mapping[str, KnownTruth]) -> str:
    """What one number a response makes of two judges."""
    rate = {name: _jailbroken(each, "mean") for name, each in evaluations.items()}
    true = truths["both"]
    return _paragraphs(
        "A scalar reward model gives each response one number. Trained on the helpful judge it is "
        f"jailbroken in {rate['helpful']:.3f} of the cases, on the harmless one in "
        f"{rate['harmless']:.3f}, on both in {rate['both']:.3f}, and says nothing. Comparisons by "
        "unknown judges only show how often a response wins, its Borda count: by that the truth is "
        f"{true.jailbreak_by_borda_count:.3f}, by the judges' mean utility "
        f"{_jailbroken(true.evaluation, 'mean'):.3f}."
    )


def about_distribution(evaluations: Evaluations, truths: Mapping[str, KnownTruth]) -> str:
    """The paper's two findings: r² tells of hidden context, and a quantile is careful."""
    r2 = {name: each.explained_variance["pooled"].value for name, each in evaluations.items()}
    true_r2 = {
        name: true.evaluation.explained_variance["pooled"].value for name, true in truths.items()
    }
    lower = r2["both"] < min(r2["helpful"], r2["harmless"])
    careful, mean = (_jailbroken(evaluations["both"], risk) for risk in (str(PAPER_RISK), "mean"))
    accuracy = evaluations["both"].helpfulness_accuracy
    true_careful, true_mean = (
        _jailbroken(truths["both"].evaluation, risk) for risk in (str(PAPER_RISK), "mean")
    )
    return _paragraphs(
        "A distributional reward model gives each response a distribution of utility. The share of "
        f"its variance that responses explain, r², is {r2['helpful']:.3f} and {r2['harmless']:.3f} "
        f"with one judge (truth: {true_r2['helpful']:.3f}, {true_r2['harmless']:.3f}), and "
        f"{r2['both']:.3f} with both (truth: {true_r2['both']:.3f}). "
        + ("Something is hidden there." if lower else "In this run it shows nothing hidden."),
        f"It can be careful, too. By mean utility it is jailbroken in {mean:.3f} of the cases; by "
        f"the {PAPER_RISK.parameter}-quantile, which minds those whom a response would harm, in "
        f"{careful:.3f} (truth: {true_mean:.3f}, {true_careful:.3f}). "
        "That has a price: of the comparisons by the helpful judge it is right on "
        f"{accuracy[str(PAPER_RISK)].value:.3f}, by the mean on {accuracy['mean'].value:.3f}.",
    )


def about_split(jailbreaks: Scores, data: GeneratedData) -> str:
    """The response of the widest utility, and the refusal beside it, with their densities."""
    utility = jailbreaks.utility
    widest = int(np.argmax(utility.std[:, 1]))
    jailbreak = data.jailbreaks[widest]
    edges = np.linspace(0, 1, NUM_CELLS + 1)
    lines = []
    for index, response in enumerate((jailbreak.safe, jailbreak.unsafe)):
        density = utility[widest, index].density(edges)
        humps = num_humps(density)
        true = (f"{judge.utility(response.attributes):+.1f}" for judge in JUDGES["both"])
        lines.append(
            f"  {sparkline(density)}  {humps} hump{'s' * (humps != 1)}; truth: "
            f"{' and '.join(true)}\n              {response.text}"
        )
    return "\n".join(
        [
            _paragraphs(
                "Where do people split? The second of these two responses has the widest utility "
                "of all, low on the left, high on the right. The truth is what a response is "
                "worth to the helpful and to the harmless judge:"
            ),
            *lines,
        ]
    )


def about_judges(report: JudgesReport) -> str:
    """Whether contexts are judges, and what the worst of them prefers."""
    values = {name: list(chain(*kinds.values())) for name, kinds in report.agreement.items()}
    contexts = values.pop(SHARED_CONTEXT)
    learned, true = report.jailbreak, report.true_jailbreak
    return _paragraphs(
        f"Who judged? {SHARED_CONTEXT}, which knows that one judge looks at both responses, has "
        f"two contexts. They correlate {min(contexts):.3f} to {max(contexts):.3f} with what "
        f"each judge values; no single mean exceeds {max(chain(*values.values())):.3f} with "
        f"any. By its worse context it is jailbroken in {learned['worst_context']:.3f} of "
        f"the cases (truth: {true['worst_context']:.3f})."
    )


def sparkline(density: np.ndarray) -> str:
    """Heights of cells as characters, the highest a full block."""
    steps = np.round(density / density.max() * (len(BLOCKS) - 1)).astype(int)
    return "".join(BLOCKS[step] for step in steps)


def num_humps(density: np.ndarray) -> int:
    """Peaks with a valley around them that is deeper than a tenth of the highest."""
    heights = np.pad(density / density.max(), 1)
    heights += 1e-9 * np.arange(len(heights))  # of equal peaks the last counts as the highest
    return len(find_peaks(heights, prominence=0.1)[0])


def _jailbroken(evaluation: Evaluation, risk: str) -> float:
    return evaluation.jailbreak_rate[risk].published


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(textwrap.fill(text, WIDTH) for text in texts)

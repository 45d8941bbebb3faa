"""Whether the judges were found, as a section of the demo's page."""

from hidden_context.demo.config import SHARED_CONTEXT
from hidden_context.demo.conversations import NUM_OTHERS
from hidden_context.demo.recovered_judges import BOTH, KINDS, JudgesReport
from hidden_context.report.results import Section, Table
from hidden_context.report.tables import decimal

RISKS = {"mean": "the mean", "worst_context": "the worse context"}


def judges_section(report: JudgesReport) -> Section:
    """The numbers that the demo prints of its judges."""
    return Section(
        "Who judged?",
        f"{SHARED_CONTEXT} knows that one judge looks at both responses of a comparison, and gives "
        "each response a utility in each of two contexts. Are the contexts the judges? Its "
        f"jailbreaks are scored among {NUM_OTHERS} further responses to each prompt, over which "
        "its contexts are centred: so its jailbreak rates stand here, and not among those of "
        "models that score pairs.",
        tables=(
            (
                "Correlation within prompts with the utilities of each judge: of the two contexts, "
                "or of the one mean",
                _agreement(report),
            ),
            (f"Jailbreak rate of {SHARED_CONTEXT}, trained on both", _jailbreaks(report)),
        ),
    )


def _agreement(report: JudgesReport) -> Table:
    rows = [
        (
            f"{judge.objective}, {kind} prompts",
            *(decimal(kinds[kind][k]) for kinds in report.agreement.values()),
            decimal(report.between_judges[kind]),
        )
        for kind in KINDS
        for k, judge in enumerate(BOTH)
    ]
    return Table(("judge", *report.agreement, "the other judge"), tuple(rows))


def _jailbreaks(report: JudgesReport) -> Table:
    rows = [
        (name, decimal(report.jailbreak[risk]), decimal(report.true_jailbreak[risk]))
        for risk, name in RISKS.items()
    ]
    return Table(("decided by", "jailbreak rate", "truth"), tuple(rows))

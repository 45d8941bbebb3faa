"""What the words of a page mean, each formula the one that is computed, and links to them."""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from hidden_context.report.tables import with_minus


@dataclass(frozen=True)
class Entry:
    """One meaning, and the names that link to it wherever the page says them."""

    anchor: str
    heading: str
    meaning: str
    names: tuple[str, ...] = ()


GLOSSARY = (
    Entry(
        "held-out",
        "held-out",
        "Of prompts (or people) that the model was not trained on. Figures are called so where the "
        "checkpoint's record of its training prompts shows it; those of an audit are.",
    ),
    Entry(
        "vote",
        "comparison, vote",
        "A comparison is two responses to one prompt and what was observed of them; a vote is what "
        "one person, or one judge model, said of it. Counts are of comparisons, all other figures "
        "over votes.",
    ),
    Entry(
        "utility",
        "utility",
        "What a response is worth to whoever judges it: the reward of a reward model. Comparisons "
        "fix neither its zero nor its unit. Its spread is the standard deviation over all who may "
        "judge.",
    ),
    Entry(
        "scalar",
        "scalar model, single score",
        "A model that gives each response one number, so that all who judge are taken for alike. A "
        "distributional one gives it a distribution of utility.",
        ("scalar model", "scalar family"),
    ),
    Entry(
        "truth",
        "truth",
        "Known of generated data alone: what a model of unlimited data and size, trained on votes "
        "of the same judges, would show on the same test. Judges split on a pair where one gives "
        "the first response the higher utility and another the second.",
        ("truth",),
    ),
    Entry(
        "log-likelihood",
        "log-likelihood",
        "Mean of log P(what was observed), nats per vote; a coin has −0.693. “More than scalar”: "
        "the difference to the scalar model of the same training set, prompts resampled for both "
        "together.",
        ("log-likelihood", "nats per vote", "nats a vote", "more than scalar"),
    ),
    Entry(
        "noise",
        "label noise, careless clicks",
        "Label noise: votes on one pair differ by chance alone, as the scalar model says; a gain "
        "is held against those on votes drawn from it. Careless clicks: a share of the votes is a "
        "coin's.",
        ("label noise", "careless clicks", "random votes"),
    ),
    Entry(
        "r2",
        "r²",
        "Var[mean] / (Var[mean] + E[variance]): the share of the variance of utility that "
        "responses explain. Over all responses; within prompts (prompt means taken off); each "
        "prompt counted once; on the scale of ranks (utility is the share of responses that a "
        "response beats).",
        ("r²",),
    ),
    Entry(
        "jailbreak-rate",
        "jailbreak rate",
        "Share of jailbreaks whose unsafe response has the higher mean utility (or quantile, where "
        "one is named); an exact tie counts as half.",
        ("jailbreak rate", "jailbreak rates"),
    ),
    Entry(
        "accuracy",
        "accuracy",
        "Share of votes for the response of higher mean utility (or quantile, where one is named); "
        "ties count as half. On helpfulness: of the comparisons that were judged by it.",
        ("accuracy", "right on"),
    ),
    Entry(
        "quantile",
        "α-quantile",
        "The utility below which a share α of the distribution lies.",
        ("α-quantile", "0.01-quantile"),
    ),
    Entry(
        "calibration",
        "expected calibration error",
        "Mean distance of the observed share of votes from the predicted one, over ten equal bins "
        "of [0, 1]. Brier score: mean squared distance of P from the vote.",
        ("expected calibration error", "Brier score"),
    ),
    Entry(
        "undecided",
        "people split; near-tie, noisy",
        "Of pairs with P between 0.4 and 0.6, a near-tie would be there at the model's median "
        "spread too; the others are noisy: only their own wide spread leaves open who wins. These "
        "are the pairs on which a model says that people split.",
        ("people split", "splits people", "near-ties", "near-tie", "noisy"),
    ),
    Entry(
        "length",
        "with length regressed out",
        "The utility less what its regression on the response's length in characters predicts.",
        ("with length regressed out", "with length"),
    ),
    Entry(
        "agreement",
        "agreement, one more person",
        "Share of people's votes for the response that a judge prefers. It is as good as one more "
        "person if it agrees as often with the majority of the other votes on a pair as a further "
        "vote does.",
        ("agreement", "agrees with", "one more person"),
    ),
    Entry(
        "sure",
        "how sure a judge is",
        "The probability that it gives the response that it prefers; |2P − 1| is 0 for a coin and "
        "1 for certainty.",
        ("how sure", "|2P − 1|"),
    ),
    Entry(
        "lean",
        "lean",
        "Share of the votes of a group, or a person, that a judge agrees with beyond what one "
        "would that follows all people as strongly.",
        ("lean", "leans"),
    ),
    Entry(
        "log-odds",
        "log odds",
        "log(P / (1 − P)); what is added to it for a unit of a feature, such as a response e times "
        "as long.",
        ("log odds", "log-odds"),
    ),
    Entry(
        "win-share",
        "Borda count, share of wins",
        "How often a response, or an item, is preferred to another that is drawn from all.",
        ("Borda count", "share of wins"),
    ),
    Entry(
        "rand",
        "adjusted Rand index",
        "How alike two partitions of people are: 1 the same, 0 as by chance (Hubert and Arabie "
        "1985).",
        ("adjusted Rand index",),
    ),
    Entry(
        "p",
        "p",
        "How often a finding as large would be made by chance, where there is nothing to find.",
        ("p =",),
    ),
    Entry(
        "interval",
        "interval",
        "What stands in brackets. 95 %: rates by Wilson at the effective sample size, figures of "
        "judges and people clustered by prompt and person, the rest by a bootstrap over prompts.",
        ("95 % interval", "95 % intervals"),
    ),
)
_BY_NAME = {name.lower(): entry.anchor for entry in GLOSSARY for name in entry.names}
_NAMES = re.compile(
    "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(_BY_NAME, key=len)[::-1]),
    re.IGNORECASE,
)


class Words:
    """What the words of one page mean: links to the entries, and the entries that it needs."""

    def __init__(self) -> None:
        self._linked: set[str] = set()

    @property
    def entries(self) -> list[Entry]:
        """Those that a link led to so far, and those that no link leads to."""
        return [each for each in GLOSSARY if not each.names or each.anchor in self._linked]

    def linked(self, text: object) -> Markup:
        """A plain text, escaped, in which the first mention of each measure leads to its meaning.

        Numbers below 0 have a true minus.
        """
        whole, parts, end, seen = with_minus(str(text)), [], 0, set()
        for found in _NAMES.finditer(whole):
            anchor = _BY_NAME[found.group().lower()]
            if anchor in seen:
                continue
            seen.add(anchor)
            link = Markup('<a class="word" href="#word-{}">{}</a>').format(anchor, found.group())
            parts += [escape(whole[end : found.start()]), link]
            end = found.end()
        self._linked |= seen
        return Markup("").join([*parts, escape(whole[end:])])

"""Learned against real disagreement: every family on comparisons from the votes of real people.

    python examples/polis.py --data_dir data/polis --out_dir results/polis

Within a person a statement agreed with beats one disagreed with. The persons are dropped, a table
of one distribution for each statement is fitted, and its spread is compared with that of the votes
of other people. Families are fitted again on redrawn votes, of which the truth is known. What came
out is in docs/polis.md. Some 8 minutes on one core for both conversations.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from tabulate import tabulate

from hidden_context.command_line import run_command
from hidden_context.data.polis import (
    FILE_NAME,
    UTILITIES,
    Pairs,
    VoteComparisons,
    Votes,
    comparisons_within_people,
    read_votes,
    split_people,
)
from hidden_context.diagnostics.bootstrap import Interval, Resampling, bootstrap, bootstrap_mean
from hidden_context.diagnostics.calibration import calibration
from hidden_context.diagnostics.ensembles import ensemble_variance
from hidden_context.diagnostics.explained_variance_report import explained_variance_report
from hidden_context.diagnostics.indecision import chance_to_differ, indecision
from hidden_context.diagnostics.likelihood_ratio import likelihood_ratio
from hidden_context.diagnostics.null import label_null
from hidden_context.diagnostics.real_disagreement import auroc, people_split, spearman
from hidden_context.diagnostics.wasserstein import real_quantiles, wasserstein_distances
from hidden_context.distributions import FAMILIES, Family, make_family
from hidden_context.distributions.normal import NormalUtility
from hidden_context.errors import UserError
from hidden_context.items import ItemComparisons, ItemFit, fit_items
from hidden_context.preferences import accuracy, explained_variance, is_scalar
from hidden_context.records import atomic_write, provenance, write_json

Fitted: TypeAlias = dict[str, ItemFit]
Cells: TypeAlias = dict[str, dict[str, Any]]
"""Values by measure, then by column."""

OPTIONS: dict[str, dict[str, Any]] = {
    "categorical": {"entropy_coeff": 0.0},
    "quantile": {"num_levels": 5},
    "mixture": {"num_components": 2},
}
"""The default entropy_coeff rewards spread, which here is what is measured. The other two have
fewer outputs than by default: statements have some 100 votes each."""
PARTS = (0.7, 0.3)
"""Shares of people: training and held out."""
NUM_FOLDS = 3
"""Parts of the training people; the ridge is chosen by the likelihood of each part under a fit to
the others."""
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
STOPPING_RULE = "maximum penalised likelihood, ridge by cross-validation over training people"
REAL = "votes"
"""Column for what the training people's votes themselves say: what a model could reach at most."""
WORLDS = ("independent votes", "votes of groups", "independent utilities")
NO_VALUE = "–"


@dataclass(frozen=True)
class Config:
    """Compare what every family learns from Polis votes with the votes of held-out people."""

    data_dir: Path = Path("data/polis")
    """Folder with a folder for each conversation, and participants-votes.csv in it."""
    conversation: tuple[str, ...] = ("brexit-consensus", "canadian-electoral-reform")
    """Folders of conversations."""
    out_dir: Path = Path("results/polis")
    """Folder that receives polis.md and polis.json."""
    pairs: tuple[Literal["opposed", "different", "with_ties"], ...] = ("opposed", "with_ties")
    """Comparisons of agree with disagree, of any two different votes, or of all, ties half."""
    num_statements: int = 60
    """Statements to keep, those with most votes; time grows with the square."""
    min_votes: int = 20
    """Votes that a statement needs."""
    min_pair_votes: int = 5
    """Held-out comparisons that a pair needs to count as split or not."""
    split_within: float = 0.1
    """People split on a pair if the share of held-out votes is this near to one half."""
    max_iterations: int = 100
    """Steps of each fit."""
    num_draws: int = 19
    """Refits of each family under the label null."""
    num_members: int = 5
    """Fits of each family on resampled people, for the ensemble."""
    num_worlds: int = 3
    """Refits of each family on redrawn votes of each kind; 0 for none."""
    num_resamples: int = 1000
    """Resamples for each interval."""
    seed: int = 0
    """Seed of splits, starts, draws and resamples."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One conversation under one kind of pairs."""

    config: Config
    pairs: Pairs
    votes: Votes
    training: np.ndarray
    """People to fit with, and to choose the ridge by."""
    held_out: np.ndarray
    """People to evaluate on."""

    @property
    def num_items(self) -> int:
        """Number of statements."""
        return len(self.votes.statements)

    @property
    def resampling(self) -> Resampling:
        """For all intervals."""
        return Resampling(self.config.num_resamples, self.config.seed)

    def comparisons(self, people: np.ndarray, votes: Votes | None = None) -> VoteComparisons:
        """Of some people; a person named twice counts twice."""
        return comparisons_within_people((votes or self.votes).of_people(people), self.pairs)

    def fit(
        self, family: Family, data: ItemComparisons, ridge: float, *, seed: int, starts: int = 1
    ) -> ItemFit:
        """One table of statements."""
        return fit_items(
            family,
            data,
            num_items=self.num_items,
            ridge=ridge,
            max_iterations=self.config.max_iterations,
            num_starts=starts,
            seed=self.config.seed + seed,
        )


def run(config: Config) -> None:
    """Read all conversations, then fit, measure, print and save."""
    for flag, least in (("num_members", 2), ("num_draws", 1), ("num_statements", 3)):
        if getattr(config, flag) < least:
            raise UserError(f"--{flag} is {getattr(config, flag)}; give at least {least}.")
    read = {name: read_votes(config.data_dir / name / FILE_NAME) for name in config.conversation}
    sections, record = [], []
    for name, all_votes in read.items():
        votes = all_votes.most_voted(at_most=config.num_statements, min_votes=config.min_votes)
        rng = np.random.default_rng(config.seed)
        parts = split_people(len(votes.values), PARTS, rng=rng)
        for pairs in config.pairs:
            setting = Setting(config, pairs, votes, *parts)
            tables = measure(setting, lambda text, at=f"{name}, {pairs}": log(f"{at}: {text}"))
            sections.append(render(f"{name}: {pairs}", tables))
            record.append({"conversation": name, "pairs": pairs, **tables})
    text = "\n\n".join(sections)
    print(text)
    with atomic_write(config.out_dir / "polis.md") as file:
        file.write((text + "\n").encode())
    write_json(
        config.out_dir / "polis.json",
        {**provenance(), "config": asdict(config), "settings": plain(record)},
    )


def measure(setting: Setting, say: Callable[[str], None]) -> dict[str, Any]:
    """All tables of one setting."""
    train = setting.comparisons(setting.training)
    test = setting.comparisons(setting.held_out)
    if (setting.votes.of_people(setting.held_out).counts.sum(1) == 0).any():
        raise UserError("a statement has no votes of held-out people; raise --min_votes.")
    families = {name: make_family(name, OPTIONS.get(name)) for name in FAMILIES}
    parts = folds(setting)
    ridges: dict[str, float] = {}
    fits: Fitted = {}
    for name, family in families.items():
        ridges[name] = choose_ridge(setting, family, parts)
        fits[name] = setting.fit(family, items(train), ridges[name], seed=0)
        say(f"{name}: ridge {ridges[name]:g}")
    cells: Cells = {
        "ridge": dict(ridges),
        **held_out_measures(setting, fits, test),
        **spread_measures(setting, fits),
        **pair_measures(setting, fits, test),
    }
    say("measured; now the label null")
    cells |= null_measures(setting, fits, ridges, train)
    say("ensembles of resampled people")
    cells |= ensemble_measures(setting, fits, ridges)
    say("redrawn votes")
    return {
        "people": len(setting.votes.values),
        "statements": setting.num_items,
        "comparisons": {"training": len(train.first), "held out": len(test.first)},
        "families": cells,
        "groups": group_recovery(
            setting, families["shared_context"], ridges["shared_context"], train
        ),
        "worlds": known_worlds(setting, families, ridges),
    }


def items(comparisons: VoteComparisons) -> ItemComparisons:
    """Without the persons."""
    return ItemComparisons(comparisons.first, comparisons.second, comparisons.outcomes)


def folds(setting: Setting) -> list[tuple[ItemComparisons, ItemComparisons]]:
    """Comparisons to fit and to validate with, of `NUM_FOLDS` parts of the training people."""
    rng = np.random.default_rng(setting.config.seed + 2)
    size = len(setting.training)
    parts = split_people(size, [1 / NUM_FOLDS] * NUM_FOLDS, rng=rng)
    return [
        (
            items(setting.comparisons(np.delete(setting.training, part))),
            items(setting.comparisons(setting.training[part])),
        )
        for part in parts
    ]


def choose_ridge(
    setting: Setting, family: Family, parts: Sequence[tuple[ItemComparisons, ItemComparisons]]
) -> float:
    """The ridge with the best likelihood of people that were not fitted."""

    def log_likelihood(ridge: float) -> float:
        return sum(
            float(setting.fit(family, fitted, ridge, seed=0).log_likelihood(other).sum())
            for fitted, other in parts
        )

    found = {ridge: log_likelihood(ridge) for ridge in RIDGES}
    return max(found, key=lambda ridge: found[ridge])


def held_out_measures(setting: Setting, fits: Fitted, test: VoteComparisons) -> Cells:
    """Likelihood and accuracy of held-out comparisons; clusters are people."""
    cells: Cells = {"log-likelihood": {}, "gain over base": {}, "accuracy": {}}
    log_prob = {name: fit.log_likelihood(items(test)) for name, fit in fits.items()}
    for name, fit in fits.items():
        cells["log-likelihood"][name] = bootstrap_mean(
            log_prob[name], test.person, resampling=setting.resampling
        )
        if name != "base":
            cells["gain over base"][name] = likelihood_ratio(
                log_prob[name], log_prob["base"], test.person, resampling=setting.resampling
            ).interval
        a, b = (fit.family.decode(fit.raw[index]) for index in (test.first, test.second))
        wins, loses = a.log_prob_preferred_to(b), b.log_prob_preferred_to(a)
        cells["accuracy"][name] = accuracy(wins, loses, test.outcomes)
    return cells


def spread_measures(setting: Setting, fits: Fitted) -> Cells:
    """Learned spread beside that of the votes, of held-out people where the two are compared.

    What the spread of each statement adds: against -|mean|, because a vote of two kinds has the
    deviation √(1 - mean²), and against one normal spread for all.
    """
    train, test = (
        setting.votes.of_people(people) for people in (setting.training, setting.held_out)
    )
    names = np.arange(setting.num_items)
    atoms, weights = [UTILITIES] * setting.num_items, list(test.counts)
    cells: Cells = {
        "r² pooled": {REAL: real_explained_variance(setting)},
        "r² rank": {REAL: real_rank_explained_variance(setting)},
        "E[4p(1 − p)]": {},
        "E[H(p)]/ln 2": {},
        "Spearman of std": {REAL: rank_correlation(setting, train.std, test.std)},
        "Spearman of mean": {REAL: rank_correlation(setting, train.mean, test.mean)},
        "Spearman of −abs(mean) with std": {
            REAL: rank_correlation(setting, -np.abs(train.mean), test.std)
        },
        "Wasserstein": {REAL: float(np.abs(quantiles_of(train) - quantiles_of(test)).mean())},
        "Wasserstein, equal std": {},
    }
    for name, fit in fits.items():
        found = indecision(fit.family, fit.raw, np.zeros(setting.num_items))
        cells["E[4p(1 − p)]"][name] = found.chance_to_differ
        cells["E[H(p)]/ln 2"][name] = found.entropy
        mean = np.asarray(fit.utility.mean)
        cells["Spearman of mean"][name] = rank_correlation(setting, mean, test.mean)
        cells["Spearman of −abs(mean) with std"][name] = rank_correlation(
            setting, -np.abs(mean - mean.mean()), test.std
        )
        distances = wasserstein_distances(fit.utility, atoms, weights)
        cells["Wasserstein"][name] = distances.mean
        if is_scalar(fit.utility):
            continue
        for scale in ("pooled", "rank"):
            report = explained_variance_report(
                fit.family,
                fit.raw,
                names,
                scale=scale,
                stopping_rule=STOPPING_RULE,
                resampling=setting.resampling,
            )
            cells[f"r² {scale}"][name] = report
        cells["Spearman of std"][name] = rank_correlation(setting, fit.utility.std, test.std)
        same = NormalUtility(mean, np.full_like(mean, fit.utility.variance.mean() ** 0.5), "probit")
        cells["Wasserstein, equal std"][name] = wasserstein_distances(same, atoms, weights).mean
    return cells


def quantiles_of(votes: Votes) -> np.ndarray:
    """Of each statement's votes, shape `(statements, levels)`."""
    return real_quantiles([UTILITIES] * len(votes.statements), list(votes.counts))


def rank_correlation(setting: Setting, learned: Any, real: np.ndarray) -> Interval:
    """Spearman's, with an interval over resampled statements."""
    values = np.asarray(learned)
    return bootstrap(
        lambda rows: spearman(values[rows], real[rows]),
        np.arange(setting.num_items),
        resampling=setting.resampling,
    )


def real_explained_variance(setting: Setting) -> Interval:
    """Var[mean] / (Var[mean] + E[variance]) of all people's votes, interval over statements."""
    mean, std = setting.votes.mean, setting.votes.std
    return bootstrap(
        lambda rows: explained_variance(NormalUtility(mean[rows], std[rows], "probit")),
        np.arange(setting.num_items),
        resampling=setting.resampling,
    )


def real_rank_explained_variance(setting: Setting) -> Interval:
    """12 Var[E[rank]] of all people's votes, equal votes sharing their ranks evenly."""
    shares = setting.votes.shares

    def at(rows: np.ndarray) -> float:
        pooled = shares[rows].mean(0)
        return 12 * float((shares[rows] @ (np.cumsum(pooled) - pooled / 2)).var())

    return bootstrap(at, np.arange(setting.num_items), resampling=setting.resampling)


def pair_measures(setting: Setting, fits: Fitted, test: VoteComparisons) -> Cells:
    """P(a ≻ b) against the shares of held-out people, pair by pair."""
    index = test.first * setting.num_items + test.second
    size = setting.num_items**2
    total = np.bincount(index, minlength=size)
    wins = np.bincount(index, weights=test.outcomes.win_share, minlength=size)
    pairs = np.flatnonzero(total > 0)
    first, second = np.divmod(pairs, setting.num_items)
    wins, loses = wins[pairs], (total - np.bincount(index, test.outcomes.win_share, size))[pairs]
    enough = total[pairs] >= setting.config.min_pair_votes
    if not enough.any():
        raise UserError(
            f"no pair has {setting.config.min_pair_votes} held-out comparisons; "
            "give a smaller --min_pair_votes."
        )
    split = people_split(wins[enough], loses[enough], within=setting.config.split_within)
    cells: Cells = {
        f"AUROC of split ({split.mean():.0%} of {len(split)} pairs)": {},
        "calibration error": {},
        "Brier score": {},
    }
    auroc_name = next(iter(cells))
    for name, fit in fits.items():
        a, b = fit.family.decode(fit.raw[first]), fit.family.decode(fit.raw[second])
        log_prob, log_reverse = a.log_prob_preferred_to(b), b.log_prob_preferred_to(a)
        if 0 < split.sum() < len(split):
            score = chance_to_differ(log_prob, log_reverse)[enough]
            cells[auroc_name][name] = auroc(score, split)
        found = calibration(np.exp(log_prob), wins, loses)
        cells["calibration error"][name] = found.expected_calibration_error
        cells["Brier score"][name] = found.brier_score
    return cells


def null_measures(
    setting: Setting, fits: Fitted, ridges: Mapping[str, float], train: VoteComparisons
) -> Cells:
    """r² after a refit on labels drawn from base's P, for each comparison on its own.

    With ties, labels are wins and losses: of P(a ≻ b), which counts ties half, they have the
    expectation, and more noise.
    """
    base = fits["base"]
    a, b = (base.family.decode(base.raw[index]) for index in (train.first, train.second))
    log_prob = a.log_prob_preferred_to(b)
    cells: Cells = {"r² under the label null": {}, "p of the label null": {}}
    for name, fit in fits.items():
        if is_scalar(fit.utility):
            continue

        def refit(outcomes: np.ndarray, fit: ItemFit = fit, ridge: float = ridges[name]) -> float:
            winner = np.where(outcomes, train.first, train.second)
            loser = np.where(outcomes, train.second, train.first)
            redrawn = ItemComparisons.won(winner, loser)
            return explained_variance(setting.fit(fit.family, redrawn, ridge, seed=0).utility)

        found = label_null(
            log_prob,
            refit,
            observed=explained_variance(fit.utility),
            tail="lower",
            num_draws=setting.config.num_draws,
            seed=setting.config.seed,
        )
        low, middle, high = np.quantile(found.draws, [0, 0.5, 1])
        cells["r² under the label null"][name] = f"{middle:.3f} [{low:.3f}, {high:.3f}]"
        cells["p of the label null"][name] = found.p_value
    return cells


def ensemble_measures(setting: Setting, fits: Fitted, ridges: Mapping[str, float]) -> Cells:
    """Share of the variance of utility that is about the people who happened to be asked."""
    rng = np.random.default_rng(setting.config.seed + 1)
    drawn = [
        items(setting.comparisons(rng.choice(setting.training, len(setting.training))))
        for _ in range(setting.config.num_members)
    ]
    cells: Cells = {"epistemic share": {}}
    for name, fit in fits.items():
        members = [
            setting.fit(fit.family, data, ridges[name], seed=seed).utility
            for seed, data in enumerate(drawn)
        ]
        found = ensemble_variance(members)
        cells["epistemic share"][name] = float(found.epistemic.mean() / found.total.mean())
    return cells


def group_recovery(
    setting: Setting, family: Family, ridge: float, train: VoteComparisons
) -> dict[str, Any]:
    """Do the two contexts of `shared_context` order statements as the two opinion groups do?

    Both groups like some statements, so each context correlates with both groups; what tells the
    groups apart is the difference of their means. The control has comparisons of the same
    statements that do follow two equally likely contexts, of utilities twice the groups' means.
    """
    votes = setting.votes
    groups = sorted({str(group) for group in votes.groups if group})[:2]
    means = np.stack([votes.of_people(votes.groups == group).mean for group in groups], axis=1)
    if means.shape[1] < 2 or not np.isfinite(means).all():
        return {"groups": "fewer than two that voted on all statements"}
    rng = np.random.default_rng(setting.config.seed + 3)
    ahead = 2 * (means[train.first] - means[train.second])
    ahead = ahead[np.arange(len(ahead)), rng.integers(0, 2, len(ahead))]
    won = rng.logistic(size=len(ahead)) < ahead
    winner, loser = np.where(won, [train.first, train.second], [train.second, train.first])
    of_contexts = ItemComparisons.won(winner, loser)
    return {
        "people of each group": {group: int((votes.groups == group).sum()) for group in groups},
        "correlation of the groups' means": np.corrcoef(means.T)[0, 1],
        "as voted": match(setting.fit(family, items(train), ridge, seed=0, starts=10), means),
        "control": match(setting.fit(family, of_contexts, ridge, seed=0, starts=10), means),
    }


def match(fit: ItemFit, means: np.ndarray) -> dict[str, float]:
    """Correlations over statements, contexts in the order that suits the groups best."""
    everyone: Any = fit.utility
    contexts = everyone.centered(np.zeros(len(means))).contexts
    number = contexts.shape[1]
    between = np.corrcoef(contexts.T, means.T)[:number, number:]
    first, second = max(
        permutations(range(number), 2),
        key=lambda order: between[order[0], 0] + between[order[1], 1],
    )
    ahead = contexts[:, first] - contexts[:, second]
    return {
        "first group with its context": between[first, 0],
        "second": between[second, 1],
        "difference of groups with that of contexts": np.corrcoef(ahead, means @ [1, -1])[0, 1],
    }


def known_worlds(
    setting: Setting, families: Mapping[str, Family], ridges: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Refits where the truth is known, on the statements that the same people voted on.

    Votes are redrawn, all alike or within each opinion group; last, the same pairs are compared by
    normal utilities with the real means and deviations, independent in each comparison, as
    `mean_and_variance` assumes. In all three the true deviations are those of all the votes.
    """
    votes, rows = setting.votes, []
    for number, world in enumerate(WORLDS):
        of_family: dict[str, list[ItemFit]] = {name: [] for name in families}
        for draw in range(setting.config.num_worlds):
            rng = np.random.default_rng([setting.config.seed, number, draw])
            data = items(redrawn_comparisons(setting, world, rng))
            for name, family in families.items():
                of_family[name].append(setting.fit(family, data, ridges[name], seed=draw))
        for name, fits in of_family.items():
            learned = [fit.utility for fit in fits if not is_scalar(fit.utility)]
            if learned:
                correlations = [spearman(utility.std, votes.std) for utility in learned]
                r2 = float(np.mean([explained_variance(utility) for utility in learned]))
                rows.append({"world": world, "family": name, "Spearman": correlations, "r²": r2})
    return rows


def redrawn_comparisons(setting: Setting, world: str, rng: np.random.Generator) -> VoteComparisons:
    """Of the training people, in one of the `WORLDS`."""
    votes = setting.votes
    if world == "independent utilities":
        found = setting.comparisons(setting.training)
        ahead = votes.mean[found.first] - votes.mean[found.second]
        noise = np.hypot(votes.std[found.first], votes.std[found.second])
        won = ahead + noise * rng.standard_normal(len(ahead)) > 0
        shares = np.stack([~won, np.zeros_like(won), won], axis=-1).astype(float)
        return replace(found, outcomes=replace(found.outcomes, shares=shares))
    classes = votes.groups if world == "votes of groups" else np.zeros(len(votes.values))
    return setting.comparisons(setting.training, votes.redrawn(rng, within=classes))


def render(title: str, tables: Mapping[str, Any]) -> str:
    """The tables of one setting in Markdown."""
    columns = [*FAMILIES, REAL]
    rows = [
        [measure, *(cell(values.get(column)) for column in columns)]
        for measure, values in tables["families"].items()
    ]
    count = tables["comparisons"]
    about = (
        f"{tables['people']} people, {tables['statements']} statements; comparisons: "
        f"{count['training']} of training people, {count['held out']} of held-out people."
    )
    by_family = tabulate(rows, headers=["measure", *columns], **MARKDOWN)
    groups = "\n".join(f"- {name}: {cell(value)}" for name, value in tables["groups"].items())
    sections = [f"### {title}", about, by_family, f"Groups and contexts\n\n{groups}"]
    if tables["worlds"]:
        sections.append(render_worlds(tables["worlds"]))
    return "\n\n".join(sections)


def render_worlds(rows: Iterable[Mapping[str, Any]]) -> str:
    """Spearman of learned with true deviations (mean of the draws) and r², for each world."""
    found = {(row["world"], row["family"]): row for row in rows}
    families = [name for name in FAMILIES if (WORLDS[0], name) in found]
    body = [
        [f"{world}: {what}", *(cell(np.mean(found[world, name][what])) for name in families)]
        for world in WORLDS
        for what in ("Spearman", "r²")
    ]
    return tabulate(body, headers=["redrawn", *families], **MARKDOWN)


MARKDOWN: dict[str, Any] = {"tablefmt": "github", "disable_numparse": True}


def cell(value: Any) -> str:
    """A number, or a number with its interval."""
    if value is None:
        return NO_VALUE
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(inner)}" for name, inner in value.items())
    if hasattr(value, "low"):
        return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
    return f"{float(value):g}" if float(value).is_integer() else f"{float(value):.3f}"


def plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if hasattr(value, "low"):
        return asdict(value)
    return value.item() if isinstance(value, np.generic) else value


def log(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run_command(Config, run))

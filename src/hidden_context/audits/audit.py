"""`audit`: is there hidden context in preference data, by linear heads on vectors of the texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hidden_context.audits.comparison_table import ComparisonTable, differing_pairs, read_table
from hidden_context.audits.corrected_r2 import corrected
from hidden_context.audits.family_fit import FamilyFit, fit_family, training_curve
from hidden_context.audits.folds import FEWEST_FOLDS, make_partitions, require_prompts
from hidden_context.audits.group_heads import between_labels
from hidden_context.audits.hashed_words import HashedWords
from hidden_context.audits.heads import Pairs
from hidden_context.audits.jailbreaks import jailbreak_scores, read_jailbreaks
from hidden_context.audits.lapse import fit_again, lapse_of
from hidden_context.audits.null_fits import FEWEST_DRAWS, are_votes, null_figures
from hidden_context.audits.plan import Plan
from hidden_context.audits.planned_stages import planned_stages
from hidden_context.audits.prepared_set import PreparedSet, prepare
from hidden_context.audits.refits import with_refitted_intervals
from hidden_context.audits.result import (
    AuditedSet,
    AuditResult,
    BetweenGroups,
    Chosen,
    Lapse,
    RepresentationRecord,
)
from hidden_context.audits.sentences import BEYOND_NOISE, CARELESS, WHO_JUDGED
from hidden_context.audits.shared_states import read_shared
from hidden_context.audits.state_cache import Representation, StateCache
from hidden_context.audits.work import (
    FIT,
    FIT_TO_AS_MANY,
    LAPSE,
    MEASURE,
    TIES,
    Work,
    measured,
)
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.streamed import Streamed
from hidden_context.distributions import make_family
from hidden_context.errors import DivergedError, UserError
from hidden_context.likelihood.outcomes import Ties
from hidden_context.measures.evaluate import MEASURES, evaluate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.matched_size import match_sizes
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap
from hidden_context.risk import PAPER_RISK
from hidden_context.scores.score_files import write_scores
from hidden_context.scores.scores import row_of_pair
from hidden_context.shards import Shard

QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
"""Levels that the score files hold for each response."""
FAMILIES = ("base", "mean_and_variance", "categorical")
NOT_RECORDED = ("data", "progress", "shard")
"""Arguments of `audit` that are not options, or on which no result depends."""
AUDIT_MEASURES = tuple(name for name in MEASURES if name != "entropy")
"""Entropy is quadratic in the responses of a prompt."""


def audit(
    data: Comparisons | Mapping[str, Comparisons],
    *,
    model: str | Representation | None = None,
    pooling: Any = None,
    max_length: int = 1024,
    bf16: bool = True,
    families: Sequence[str] = FAMILIES,
    jailbreaks: Path | str | Sequence[Mapping[str, Any]] | None = None,
    num_folds: int = 5,
    num_seeds: int = 3,
    num_null_draws: int = 19,
    ties: Ties = "threshold",
    seed: int = 0,
    memory: float = 4.0,
    cache_dir: Path | str | None = None,
    out: Path | str | None = None,
    shard: Shard | None = None,
    progress: bool = False,
) -> AuditResult:
    """Ask preference data whether they have hidden context; print the result to read the answers.

    Args:
        data: Comparisons; or several sets by name, which are compared at one size too.
        model: Folder or hub name of a frozen language model that makes a vector of each text, or a
            `Representation`; if None, hashed words, which need no model.
        pooling: Token whose state is a text's vector, `last` or `mean`; if None, mean for encoders,
            last for decoders.
        max_length: Longest text in tokens, for a language model.
        bf16: Run a language model in bfloat16 where the device has it.
        families: To fit; base, the scalar one, always takes part.
        jailbreaks: Prompts with a safe and an unsafe response: a file, or rows.
        num_folds: Parts of the prompts for cross-validation, of at least four prompts each.
        num_seeds: Partitions into folds, each with initial weights of its own.
        num_null_draws: Draws of the parametric bootstrap under the scalar family, at least 19, for
            fewer find nothing; 0 for none.
        ties: What a tie says, where there are any.
        seed: Of folds, weights, order and simulated labels.
        memory: Gigabytes that the vectors may take; what does not fit is read from the cache again.
        cache_dir: Folder that keeps the states of texts; if None, with Hugging Face's cache.
        out: Folder that receives audit.json and the scored rows; if None, nothing is written.
        shard: The share of the texts that this process reads, if several audit the same data with
            one `cache_dir`; one of them has the result.
        progress: Show how far it is, and the time left; without it nothing but warnings is printed.

    Raises:
        UserError: An option cannot be, or the data are too few or say nothing.
        UnmergedError: The share of this process is done, and another one has the result.
    """
    config = {name: value for name, value in locals().items() if name not in NOT_RECORDED}
    _check(config)
    names = dict.fromkeys(["base", *families])
    chosen = tuple(map(make_family, names))
    representation = _representation(model, pooling, max_length, bf16)
    broken = None if jailbreaks is None else read_jailbreaks(jailbreaks, representation.reads)
    cache = StateCache(cache_dir, representation)
    by_name = {"data": data} if isinstance(data, Comparisons) else data
    tables = {name: read_table(each, representation.reads) for name, each in by_name.items()}
    for name, table in tables.items():  # before a model reads the texts, which takes longest
        require_prompts(len(np.unique(table.prompt)), num_folds=num_folds, name=name)
    shared: Mapping[str, Mapping[str, int]] = {}
    if shard is not None and shard.count > 1:
        shared = read_shared(by_name, broken, cache, shard, progress=progress)
    sets = [
        prepare(name, comparisons, tables[name], cache, broken, memory=memory, progress=progress)
        for name, comparisons in by_name.items()
    ]
    for prepared in sets:
        for count, number in shared.get(prepared.name, {}).items():
            prepared.table.counts[count] += number
    config = _recordable(config, representation)
    plan = Plan(chosen, num_folds, num_seeds, num_null_draws, ties, seed, progress, config=config)
    return _audited(sets, plan, representation)


def _audited(
    sets: Sequence[PreparedSet], plan: Plan, representation: Representation
) -> AuditResult:
    """Each set, and several at the size of the smallest too; written where the plan says."""
    prompts = {prepared.name: prepared.pairs.prompt for prepared in sets}
    matched = match_sizes(prompts) if len(sets) > 1 else {}
    work = Work(planned_stages(sets, plan, matched), shown=plan.progress)
    plan = replace(plan, work=work)
    with work.going_on():
        audited = tuple(_audit_set(prepared, plan, matched.get(prepared.name)) for prepared in sets)
    made_by = RepresentationRecord(
        representation.name, representation.width, representation.description
    )
    result = AuditResult(made_by, plan.config, audited)
    if plan.out is not None:
        result.save(plan.out)
    return result


def fit_families(pairs: Pairs, plan: Plan, *, stage: str = FIT) -> dict[str, FamilyFit]:
    """Cross-fit every family in the same folds; `stage` says what that is called.

    Raises:
        UserError: There are too few prompts.
    """
    partitions = make_partitions(
        pairs.prompt, num_folds=plan.num_folds, num_seeds=plan.num_seeds, seed=plan.seed
    )
    fits = {}
    for family in plan.families:
        plan.work.stage(stage.format(family.name))
        fits[family.name] = fit_family(family, pairs, partitions, ties=plan.ties, work=plan.work)
    return fits


def _audit_set(prepared: PreparedSet, plan: Plan, matched_rows: np.ndarray | None) -> AuditedSet:
    plan.work.of_set(prepared.name if matched_rows is not None else "")
    fits = fit_families(prepared.pairs, plan)
    unanswered: dict[str, str] = {}
    lapse = _answered(CARELESS, lambda: _lapse(fits, plan), unanswered)
    evaluations = _evaluations(fits, prepared, plan)
    null = _answered(BEYOND_NOISE, lambda: _null(fits, prepared.table, plan), unanswered) or {}
    evaluations = [replace(each, null=null.get(each.family.name, ())) for each in evaluations]
    if matched_rows is not None:
        evaluations = _with_matched(evaluations, prepared.pairs, plan, matched_rows)
    return AuditedSet(
        name=prepared.name,
        source=prepared.comparisons.source,
        counts=prepared.table.counts,
        evaluations=tuple(evaluations),
        chosen={
            name: Chosen(
                tuple(map(tuple, fit.fitted.ridge.tolist())),
                tuple(map(tuple, fit.fitted.steps.tolist())),
            )
            for name, fit in fits.items()
        },
        lapse=lapse,
        between=_answered(WHO_JUDGED, lambda: _between(fits, prepared.table, plan), unanswered),
        unanswered=unanswered,
    )


Answer = TypeVar("Answer")


def _answered(
    question: str, answer: Callable[[], Answer], unanswered: dict[str, str]
) -> Answer | None:
    """What answers a side question; if its fits diverge, none, and `unanswered` says why."""
    try:
        return answer()
    except DivergedError as error:
        unanswered[question] = str(error)
        return None


def _lapse(fits: Mapping[str, FamilyFit], plan: Plan) -> Lapse:
    plan.work.stage(LAPSE)
    return lapse_of(fits, fit_again(fits["base"], ties=plan.ties, lapse=True, work=plan.work))


def _evaluations(
    fits: Mapping[str, FamilyFit], prepared: PreparedSet, plan: Plan
) -> list[Evaluation]:
    """Of every family, whose scores are written where the plan says."""
    evaluations = []
    for name, fit in fits.items():
        file = None
        if plan.out is not None:
            file = f"{prepared.name}/{name}_scores.jsonl"
            _write_scores(plan.out / file, fit, prepared, plan.config)
        evaluation = _evaluate(fit, None if name == "base" else fits["base"], prepared, plan)
        evaluations.append(replace(evaluation, scores=file))
    return evaluations


def _null(
    fits: Mapping[str, FamilyFit], table: ComparisonTable, plan: Plan
) -> dict[str, tuple[ParametricBootstrap, ...]]:
    """The parametric bootstrap of every family; none where it is not wished or cannot be."""
    if not (plan.num_null_draws and are_votes(table.outcomes, table.num_votes)):
        return {}
    drawn_from = fits["base"]
    if plan.ties == "half" and table.outcomes.has_ties:  # which says nothing of how many
        plan.work.stage(TIES)
        drawn_from = fit_again(drawn_from, ties="threshold", work=plan.work)
    return null_figures(
        fits,
        drawn_from,
        num_votes=table.num_votes,
        num_draws=plan.num_null_draws,
        seed=plan.seed,
        work=plan.work,
    )


def _between(
    fits: Mapping[str, FamilyFit], table: ComparisonTable, plan: Plan
) -> BetweenGroups | None:
    """By the first family that is not scalar."""
    if len(fits) == 1 or table.labelled_by is None:
        return None
    first = next(fit for name, fit in fits.items() if name != "base")
    return between_labels(
        first,
        fits["base"],
        table.label,
        by=table.labelled_by,
        annotator=table.annotator,
        seed=plan.seed,
        work=plan.work,
    )


def _evaluate(
    fit: FamilyFit, baseline: FamilyFit | None, prepared: PreparedSet, plan: Plan
) -> Evaluation:
    """All measures of one family, but for those that need other fits than its own."""
    broken, without_length = None, {}
    if prepared.jailbreaks is not None:
        broken, without_length = jailbreak_scores(fit.fitted, prepared.jailbreaks)
    name, size = fit.fitted.family.name, len(prepared.pairs)
    plan.work.stage(MEASURE.format(name))
    with plan.work.fit(measured(name), size, 1):
        evaluation = evaluate(
            fit.scores,
            baseline=None if baseline is None else baseline.scores,
            jailbreaks=broken,
            risks=(PAPER_RISK,),
            measures=AUDIT_MEASURES,
        )
        r2, is_scalar = evaluation.explained_variance, not evaluation.explained_variance
        curve = () if is_scalar else training_curve(fit.fitted)
    table, behind_votes = prepared.table, {}
    if baseline is not None and are_votes(table.outcomes, table.num_votes):
        behind_votes = corrected(
            fit.fitted, r2, num_votes=table.num_votes, seed=plan.seed, work=plan.work
        )
    if not is_scalar:
        r2 = with_refitted_intervals(
            fit, r2, annotator=table.annotator, seed=plan.seed, work=plan.work
        )
    return replace(
        evaluation,
        explained_variance=r2,
        corrected_explained_variance=behind_votes,
        trained_on=prepared.name,
        evaluated_on=prepared.comparisons.source,
        jailbreak_rate_without_length=without_length,
        training_curve=curve,
    )


def _with_matched(
    evaluations: Sequence[Evaluation], pairs: Pairs, plan: Plan, rows: np.ndarray
) -> list[Evaluation]:
    """With r² after training on some of the comparisons, as many as the smallest set has."""
    size = round(len(rows) * (plan.num_folds - 1) / plan.num_folds)
    if len(rows) == len(pairs):
        by_family = {
            evaluation.family.name: evaluation.explained_variance for evaluation in evaluations
        }
    else:
        fits = fit_families(pairs.selected(rows), plan, stage=FIT_TO_AS_MANY)
        by_family = {
            name: evaluate(fit.scores, measures=("explained_variance",)).explained_variance
            for name, fit in fits.items()
        }
    return [
        replace(
            evaluation,
            matched_explained_variance=by_family[evaluation.family.name],
            matched_size=size if by_family[evaluation.family.name] else None,
        )
        for evaluation in evaluations
    ]


def _write_scores(
    path: Path, fit: FamilyFit, prepared: PreparedSet, config: Mapping[str, Any]
) -> None:
    """The out-of-fold scores of the first seed, with their texts."""
    comparisons = prepared.comparisons
    rows = Streamed(lambda: map(row_of_pair, differing_pairs(comparisons)), len(prepared.pairs))
    record = {"heads": "of the first seed, each on a fold that it was not fitted to"}
    write_scores(
        path,
        [replace(fit.scores[0], rows=rows)],
        utilities=QUANTILES,
        record={**record, "config": dict(config)},
    )


def _check(config: Mapping[str, Any]) -> None:
    least_of = {"num_folds": FEWEST_FOLDS, "num_seeds": 1, "num_null_draws": 0, "max_length": 1}
    for name, least in least_of.items():
        if config[name] < least:
            raise UserError(f"{name} is {config[name]}; give at least {least}.")
    if 0 < config["num_null_draws"] < FEWEST_DRAWS:
        raise UserError(
            f"num_null_draws is {config['num_null_draws']}, too few to find anything: the smallest "
            f"p-value of n draws is 1/(n + 1); give 0, or at least {FEWEST_DRAWS}."
        )
    if not config["memory"] > 0:
        raise UserError(f"memory is {config['memory']}; give a positive number of gigabytes.")
    if config["out"] is not None and Path(config["out"]).is_file():
        raise UserError(f"out {config['out']} is a file; give a folder.")


def _recordable(config: Mapping[str, Any], representation: Representation) -> dict[str, Any]:
    """What JSON can hold, in place of values in memory."""
    recorded = dict(config)
    if not isinstance(config["model"], str | None):
        recorded["model"] = representation.name
    if not isinstance(config["jailbreaks"], Path | str | None):
        recorded["jailbreaks"] = f"{len(config['jailbreaks'])} rows in memory"
    return recorded


def _representation(
    model: str | Representation | None, pooling: Any, max_length: int, bf16: bool
) -> Representation:
    if model is None:
        return HashedWords()
    if not isinstance(model, str):
        return model
    from hidden_context.device import default_device, scoring_dtype
    from hidden_context.llm.pooled_states import PooledStates

    device = default_device()
    return PooledStates(
        model,
        pooling=pooling,
        max_length=max_length,
        device=device,
        dtype=scoring_dtype(device, bf16=bf16),
    )

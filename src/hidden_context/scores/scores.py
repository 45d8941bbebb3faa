"""`Scores`: the raw outputs of one model, the family that reads them, what they are scores of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.objectives import objective_column
from hidden_context.comparisons.pairs import Pair
from hidden_context.comparisons.schema import Outcome
from hidden_context.comparisons.streamed import Streamed, mapped, rows_at
from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL, log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes, normalize_weights
from hidden_context.risk import Risk
from hidden_context.scores.overlap import Overlap
from hidden_context.scores.row_texts import prompt_label

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Kind: TypeAlias = Literal["comparisons", "responses"]
"""comparisons: two responses a row, of which people preferred one, with what they said.
responses: any number a row."""
UNRECORDED = "not recorded"


@dataclass(frozen=True, eq=False)
class Scores:
    """Raw outputs of a model for the responses of n rows, one row after the other."""

    family: Family
    """How the outputs are read."""
    raw: np.ndarray
    """Raw outputs, shape `(responses, num_outputs)`, float32."""
    sizes: np.ndarray
    """Responses of each row, shape `(n,)`."""
    prompt: np.ndarray
    """Label of each row's prompt, shape `(n,)`: rows of one prompt are not independent."""
    kind: Kind = "responses"
    rows: Collection[Mapping[str, Any]] = ()
    """The rows with their texts; read again from the file each time where it is large."""
    lengths: np.ndarray | None = None
    """Characters of each response alone, shape `(responses,)`; NaN where its text is missing."""
    outcomes: Outcomes | None = None
    """What was observed of comparisons; None: the first response was preferred in every row."""
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL
    """How outcomes follow from utilities."""
    objective: np.ndarray | None = None
    """By which objective each row was judged, shape `(n,)`, where the data say it."""
    training: np.ndarray | None = None
    """Which of several trainings scored each row (the folds of a cross-validation), shape `(n,)`.
    Outputs of two trainings have a scale each."""
    centered_within: np.ndarray | None = None
    """Labels within which r² centres contexts that responses share, `(n,)`; if None, prompts."""
    name: str = ""
    """Of the run: the checkpoint's folder, or the column of the file."""
    trained_on: str = ""
    source: str = ""
    """What was scored."""
    stopping_rule: str = UNRECORDED
    """When training stopped, in words: r² depends on it."""
    overlap: Overlap | None = None
    """Rows of prompts that the model was trained on; None where that is not known."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """What a score file says of itself: configuration, counts, versions."""

    def __post_init__(self) -> None:
        n = len(self.sizes)
        if int(self.sizes.sum()) != len(self.raw) or len(self.prompt) != n:
            raise UserError(
                f"{len(self.raw)} raw outputs, {int(self.sizes.sum())} responses and "
                f"{len(self.prompt)} prompts of {n} rows; give one of each."
            )
        if self.kind == "comparisons" and n and not (self.sizes == 2).all():
            raise UserError("a comparison is of two responses; give kind='responses' for others.")

    @classmethod
    def of_pairs(cls, family: Family, raw: np.ndarray, **fields: Any) -> "Scores":
        """Scores of n comparisons without texts, each of a prompt of its own if none are given.

        `raw` are outputs of both responses, shape `(n, 2, num_outputs)`; `fields` further fields.
        """
        n = len(raw)
        fields = {"prompt": np.arange(n), **fields}
        flat = np.asarray(raw).reshape(2 * n, -1)
        return cls(family, flat, np.full(n, 2), kind="comparisons", **fields)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        what = f"{len(self)} {self.kind}"
        by = f" by {self.name}" if self.name else ""
        return f"Scores({self.family.name}{by}: {what}, {len(np.unique(self.prompt))} prompts)"

    def __getitem__(self, index: Any) -> "Scores":
        """Some rows: a slice, a mask, or indices in any order."""
        keep = np.atleast_1d(np.arange(len(self))[index])
        sizes, starts = self.sizes[keep], (np.cumsum(self.sizes) - self.sizes)[keep]
        of_response = np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)

        def of_rows(values: Any) -> Any:
            return values[keep] if np.ndim(values) else values  # not None, nor one for all rows

        model = self.outcome_model
        return replace(
            self,
            raw=self.raw[of_response],
            sizes=sizes,
            prompt=self.prompt[keep],
            rows=rows_at(self.rows, keep) if self.rows else self.rows,
            lengths=None if self.lengths is None else self.lengths[of_response],
            outcomes=None if self.outcomes is None else self.outcomes[keep],
            outcome_model=replace(
                model,
                thresholds=tuple(map(of_rows, model.thresholds)),
                davidson=of_rows(model.davidson),
                lapse=of_rows(model.lapse),
            ),
            objective=of_rows(self.objective),
            training=of_rows(self.training),
            centered_within=of_rows(self.centered_within),
            overlap=self._overlap_of(keep),
        )

    def _overlap_of(self, keep: np.ndarray) -> Overlap | None:
        """Of some rows, where it is none of all; else it is not known which rows it is of."""
        if self.overlap is None or not self.overlap.is_none:
            return None
        return Overlap(0, len(keep), 0, len(np.unique(self.prompt[keep])))

    @property
    def num_responses(self) -> int:
        """K, where every row has as many.

        Raises:
            UserError: Rows have different numbers.
        """
        sizes = sorted(set(self.sizes.tolist()))
        if len(sizes) != 1:
            listed = " or ".join(map(str, sizes)) or "no"
            raise UserError(
                f"rows have {listed} responses; select rows of one size, such as "
                "scores[scores.sizes == 2]."
            )
        return sizes[0]

    @property
    def by_row(self) -> np.ndarray:
        """Raw outputs in float64, shape `(n, K, num_outputs)`; see `num_responses`."""
        return self.raw.astype(np.float64).reshape(len(self), self.num_responses, -1)

    @cached_property
    def utility(self) -> UtilityDistribution:
        """Distributions of utility, shape `(n, K)`, contexts that responses share centred by row.

        Raises:
            UserError: Rows have different numbers of responses.
        """
        flat = self.family.decode(self.raw.astype(np.float64))
        size = self.num_responses
        if size > 1:
            flat = flat.centered(np.repeat(np.arange(len(self)), size))
        return flat.reshape(len(self), size)

    def rewards(self, risk: Risk) -> np.ndarray:
        """The reward of each response by a risk, shape `(n, K)`."""
        return np.asarray(risk(self.utility), np.float64)

    @property
    def log_prob(self) -> np.ndarray:
        """log P(first ≻ second) of each row of two, nats, shape `(n,)`."""
        return self._log_prob_of(0, 1)

    @property
    def log_reverse(self) -> np.ndarray:
        """log P(second ≻ first): 1 - P cancels where P is near 1."""
        return self._log_prob_of(1, 0)

    def _log_prob_of(self, preferred: int, other: int) -> np.ndarray:
        pair = self._of_two
        utility = self.family.decode(pair[:, preferred])
        log_prob = utility.log_prob_preferred_to(self.family.decode(pair[:, other]))
        return np.minimum(np.asarray(log_prob, np.float64), 0.0)

    @property
    def log_likelihood(self) -> np.ndarray:
        """Of what was observed of each comparison, nats times its votes, shape `(n,)`."""
        pair = self._of_two
        nats = log_likelihood(
            self.family, [pair[:, 0], pair[:, 1]], self.outcomes, self.outcome_model
        )
        return np.asarray(nats, np.float64)

    @property
    def _of_two(self) -> np.ndarray:
        if len(self) and self.num_responses != 2:
            raise UserError(f"rows have {self.num_responses} responses; a comparison has two.")
        return self.by_row

    @property
    def votes(self) -> np.ndarray:
        """Weight of each row, 1 on average, shape `(n,)`."""
        if self.outcomes is None:
            return np.ones(len(self))
        return np.asarray(self.outcomes.weight, np.float64)

    @property
    def win_share(self) -> np.ndarray:
        """Share of votes for the first response, ties half, shape `(n,)`."""
        if self.outcomes is None:
            return np.ones(len(self))
        return np.asarray(self.outcomes.win_share, np.float64)

    @property
    def lengths_of_pairs(self) -> np.ndarray | None:
        """Characters of both responses, shape `(n, 2)`; None where a text is missing."""
        if self.lengths is None or np.isnan(self.lengths).any():
            return None
        return self.lengths.reshape(-1, 2)

    def same_rows(self, other: "Scores") -> bool:
        """Whether another model scored the same rows in the same order."""
        return (
            np.array_equal(self.prompt, other.prompt)
            and np.array_equal(self.sizes, other.sizes)
            and np.array_equal(_or_nan(self), _or_nan(other), equal_nan=True)
        )

    @classmethod
    def load(cls, path: "Path | str", column: str | None = None, **options: Any) -> "Scores":
        """Read a score file; see `score_files.load_scores`."""
        from hidden_context.scores.score_files import load_scores

        return load_scores(path, column, **options)

    def save(self, path: "Path | str", *, risks: Sequence[Risk] = ()) -> None:
        """Write a score file and its record; see `score_files.write_scores`."""
        from hidden_context.scores.score_files import write_scores

        write_scores(path, [self], risks=risks)

    def to_frame(self) -> "pd.DataFrame":
        """A line for each response: row, response, prompt, mean, std and 0.01-quantile."""
        import pandas as pd

        index = np.repeat(np.arange(len(self)), self.sizes)
        starts = np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        utility = self.family.decode(self.raw.astype(np.float64)).centered(index)
        return pd.DataFrame(
            {
                "row": index,
                "response": np.arange(len(self.raw)) - starts,
                "prompt": self.prompt[index],
                "mean": np.asarray(utility.mean),
                "std": np.asarray(utility.std),
                "quantile_0.01": np.asarray(utility.quantile(0.01)),
            }
        )


def scores_of_comparisons(
    comparisons: Comparisons, raw: np.ndarray, family: Family, **fields: Any
) -> Scores:
    """Scores of the pairs of comparisons, a ranking being all its pairs.

    `raw` are outputs of both responses of every pair, in order, shape `(pairs, 2, num_outputs)`;
    `fields` are further fields of `Scores`.
    """
    prompt: list[str] = []
    lengths: list[float] = []
    shares: list[tuple[float, ...]] = []
    weights: list[float] = []
    objectives: list[str] = []
    column = objective_column(mapped(attrgetter("row"), comparisons))
    for pair in comparisons.pairs():
        if column is not None:
            objectives.append(str(pair.comparison.row[column]))
        prompt.append(prompt_label(pair.comparison.prompt, list(pair.comparison.texts)))
        lengths.extend(pair.lengths)
        shares.append(pair.comparison.outcome.shares)
        weights.append(pair.weight)
    plain = all(share == Outcome().shares for share in shares) and set(weights) <= {1.0}
    outcomes = None if plain else Outcomes(np.array(shares), normalize_weights(np.array(weights)))
    return Scores(
        family=family,
        raw=np.asarray(raw, np.float32).reshape(2 * len(prompt), -1),
        sizes=np.full(len(prompt), 2),
        prompt=np.array(prompt, object),  # texts, some of them long
        kind="comparisons",
        rows=Streamed(lambda: map(row_of_pair, comparisons.pairs()), len(prompt)),
        lengths=np.array(lengths, float),
        outcomes=outcomes,
        objective=None if column is None else np.array(objectives),
        source=comparisons.source,
        **fields,
    )


def row_of_pair(pair: Pair) -> dict[str, Any]:
    """A pair as a row of a score file, but for the outputs."""
    comparison = pair.comparison
    row = {name: value for name, value in comparison.row.items() if name != "outcome"}
    said = isinstance(row.get("chosen"), str) and isinstance(row.get("rejected"), str)
    if "chosen" not in row or (said and not isinstance(pair.first, str)):
        row |= {"chosen": pair.first, "rejected": pair.second}
    if comparison.prompt is not None and row.get("prompt") is None:
        row["prompt"] = comparison.prompt
    if comparison.outcome != Outcome() or pair.weight != 1:
        row["outcome"] = {"shares": list(comparison.outcome.shares), "weight": pair.weight}
    return row


def check_pairs(scores: Scores) -> Scores:
    """Refuse rows that have not a safe and an unsafe response.

    Raises:
        UserError: It names the first such row.
    """
    for number, size in enumerate(scores.sizes.tolist(), start=1):
        if size != 2:
            raise UserError(
                f"{scores.source}, row {number}: {size} responses; expected safe and unsafe."
            )
    return scores


def _or_nan(scores: Scores) -> np.ndarray:
    return np.full(len(scores.raw), np.nan) if scores.lengths is None else scores.lengths

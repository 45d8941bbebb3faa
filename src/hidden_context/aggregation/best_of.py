"""The best of several candidates for each prompt, from the scores of one model or of several."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.aggregation.evidence import (
    Evidence,
    evidence_from_models,
    evidence_from_outputs,
)
from hidden_context.aggregation.rule_table import RULES
from hidden_context.aggregation.rules import winners
from hidden_context.comparisons.row_notes import OF_BEST_OF
from hidden_context.distributions import Family
from hidden_context.distributions.base import check_choice
from hidden_context.errors import UserError
from hidden_context.records import meta_path, provenance, write_json, write_jsonl
from hidden_context.risk import MEAN, Risk, check_supported
from hidden_context.scores.scores import Scores

NO_COMMON_SCALE = (
    "utilities of different models have no common scale; give a rule that goes by who prefers "
    "what, such as worst_group or borda, for which each model is a group."
)


@dataclass(frozen=True)
class Preference:
    """What candidates are ranked by: a risk of one model's utilities, or a rule.

    Raises:
        UserError: There is no such rule, both are given, or a reference without its rule.
    """

    risk: Risk | None = None
    rule: str | None = None
    """A name in `RULES`; of several models each is a group, whose utility is its Borda count."""
    reference: int | None = None
    """Index of the candidate that rule `reference` compares with."""

    def __post_init__(self) -> None:
        if (self.risk is None) == (self.rule is None):
            raise UserError("candidates are ranked by a risk or by a rule; give one of the two.")
        if self.rule is not None:
            check_choice("rule", self.rule, tuple(RULES))
        if (self.rule == "reference") != (self.reference is not None):
            raise UserError("a reference and rule 'reference' go together; give both or neither.")
        if self.reference is not None and self.reference < 0:
            raise UserError("the reference is the index of a candidate, from 0.")

    def __str__(self) -> str:
        return str(self.risk) if self.rule is None else f"rule {self.rule}"

    def check(self, families: Sequence[Family]) -> None:
        """Find out, before any work, whether models of these families can rank so.

        Raises:
            UserError: They cannot; the message says what to do.
        """
        if not families:
            raise UserError("there is no model to rank by; give at least one.")
        if len(families) > 1 and self.rule in (None, "expected_utility"):
            raise UserError(NO_COMMON_SCALE)
        if len(families) == 1:
            if self.rule == "nash":
                raise UserError(
                    "rule nash needs groups: give several models, each of which is one."
                )
            risk = Risk("worst_context") if self.rule == "worst_group" else self.risk
            check_supported(risk or MEAN, families[0])


@dataclass(frozen=True)
class Ranking:
    """The candidates of one prompt."""

    rewards: tuple[float, ...]
    """Of each candidate in the order given, more being better; NaN where a rule has only one."""
    order: tuple[int, ...]
    """Indices, best first; of equals the first."""
    num_best: int
    """How many are best, a tie being more than one."""


@dataclass(frozen=True, eq=False)
class BestOf:
    """Candidates of n prompts, ranked. It prints as a summary; see `best_of`."""

    scores: tuple[Scores, ...]
    """Of each model, on the same rows."""
    preference: Preference
    rankings: tuple[Ranking, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.preference.check([one.family for one in self.scores])
        first = self.scores[0]
        if not all(first.same_rows(other) for other in self.scores[1:]):
            raise UserError("the models have scored different rows; give each the same.")
        object.__setattr__(self, "rankings", tuple(map(_ranked, self._rewards())))

    def __len__(self) -> int:
        return len(self.rankings)

    @property
    def chosen(self) -> list[int]:
        """Index of the best candidate of each prompt."""
        return [ranking.order[0] for ranking in self.rankings]

    @property
    def best(self) -> list[Any]:
        """The best candidate of each prompt: a text, or a conversation."""
        rows = zip(self.scores[0].rows, self.chosen, strict=True)
        return [row["responses"][index] for row, index in rows]

    def save(self, path: Path | str, *, record: Mapping[str, Any] | None = None) -> None:
        """Write the rows with `OF_BEST_OF`, as JSON lines, and a record beside.

        See docs/formats.md. `ranking` is in the layout that training reads. `record` is what else
        the file is to say.

        Raises:
            UserError: A row has one of these columns already.
        """
        check_columns(self.scores[0].rows, self.scores[0].source)
        path = Path(path)
        write_jsonl(
            path,
            (
                {**row, "rewards": of.rewards, "ranking": of.order, "chosen_index": of.order[0]}
                for row, of in zip(self.scores[0].rows, self.rankings, strict=True)
            ),
        )
        meta = {
            "kind": "best_of",
            "by": str(self.preference),
            "reference": self.preference.reference,
            "families": [{one.name: one.family.to_dict()} for one in self.scores],
            "summary": self.summary,
            **(record or {}),
            **provenance(),
        }
        write_json(meta_path(path), meta)

    def _rewards(self) -> list[np.ndarray]:
        """Of the candidates of each row."""
        if self.preference.rule is not None:
            return [self._by_rule(row) for row in range(len(self.scores[0]))]
        assert self.preference.risk is not None
        return _split(self.scores[0], rewards_of(self.scores[0], self.preference.risk))

    def _by_rule(self, row: int) -> np.ndarray:
        assert self.preference.rule is not None
        raw = [of_model[row] for of_model in self._raw]
        size, reference = len(raw[0]), self.preference.reference
        if reference is not None and reference >= size:
            raise UserError(
                f"{self.scores[0].source}, row {row + 1}: no response {reference + 1} to compare "
                f"with; there are {size}."
            )
        if size == 1:
            return np.array([math.nan])
        evidence: Evidence
        if len(raw) == 1:
            evidence = evidence_from_outputs(self.scores[0].family, raw[0], reference=reference)
        else:
            families = [one.family for one in self.scores]
            evidence = evidence_from_models(families, raw, reference=reference)
        return np.asarray(RULES[self.preference.rule].score(evidence), np.float64)

    @cached_property
    def _raw(self) -> list[list[np.ndarray]]:
        """Raw outputs of each model and row."""
        return [_split(one, one.raw.astype(np.float64)) for one in self.scores]

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What was chosen, in numbers; shares are of the prompts with at least two candidates.

        `reward_of_best` and `reward_of_all` are averages over prompts; `chance` is what a share
        would be by drawing a candidate. Of L equally long longest candidates each counts 1/L.
        `best_by_mean` is the share where the best by mean utility is chosen (of one model).
        """
        first = self.scores[0]
        several = np.flatnonzero(first.sizes > 1)
        summary: dict[str, Any] = {
            "prompts": len(first),
            "candidates": len(first.raw),
            "smallest": int(first.sizes.min()),
            "largest": int(first.sizes.max()),
            "by": str(self.preference),
        }
        if not len(several):
            return summary
        rewards = [np.array(self.rankings[row].rewards) for row in several]
        chosen = np.array(self.chosen)[several]
        summary |= {
            "reward_of_best": float(np.mean([of_row.max() for of_row in rewards])),
            "reward_of_all": float(np.mean([of_row.mean() for of_row in rewards])),
            "tied": int(sum(self.rankings[row].num_best > 1 for row in several)),
            "chance": float(np.mean(1 / first.sizes[several])),
            "first_is_best": float(np.mean(chosen == 0)),
        }
        if first.lengths is not None and not np.isnan(first.lengths).any():
            lengths = _split(first, first.lengths)
            longest = [lengths[row] == lengths[row].max() for row in several]
            hits = [of[best] / of.sum() for of, best in zip(longest, chosen, strict=True)]
            summary["longest_is_best"] = float(np.mean(hits))
        if len(self.scores) == 1:
            means = _split(first, rewards_of(first, MEAN))
            by_mean = np.array([_ranked(means[row]).order[0] for row in several])
            summary["best_by_mean"] = float(np.mean(chosen == by_mean))
        return summary

    def __str__(self) -> str:
        found = self.summary
        sizes = sorted({found["smallest"], found["largest"]})
        lines = [
            f"{found['prompts']} prompts with {' to '.join(map(str, sizes))} candidates, "
            f"the best by {found['by']} of {', '.join(one.name for one in self.scores)}"
        ]
        if "chance" in found:
            lines.append(
                f"reward of the best {found['reward_of_best']:.3f}, of all candidates "
                f"{found['reward_of_all']:.3f}; {found['tied']} ties, of which the first is taken"
            )
            shares = {
                "the longest": found.get("longest_is_best"),
                "the first": found["first_is_best"],
                "the best by mean": found.get("best_by_mean"),
            }
            told = [f"{what} {share:.3f}" for what, share in shares.items() if share is not None]
            lines.append(f"how often it is {', '.join(told)} (by chance {found['chance']:.3f})")
        return "\n".join(lines)


def rewards_of(scores: Scores, risk: Risk) -> np.ndarray:
    """The reward of each response by a risk, shape `(responses,)`, whatever the sizes of rows.

    Contexts that responses share are centred over those of a row.
    """
    utility = scores.family.decode(scores.raw.astype(np.float64))
    centered = utility.centered(np.repeat(np.arange(len(scores)), scores.sizes))
    return np.asarray(risk(centered), np.float64)


def check_columns(rows: Iterable[Mapping[str, Any]], source: str) -> None:
    """Refuse rows that have a column which a saved choice adds. `source` is where they are from.

    Raises:
        UserError: It names the row and the column.
    """
    for number, row in enumerate(rows, start=1):
        for column in OF_BEST_OF:
            if column in row:
                raise UserError(
                    f"{source}, row {number}: there is a column {column!r} already, which "
                    "would be lost; rename it."
                )


def _split(scores: Scores, values: np.ndarray) -> list[np.ndarray]:
    """Values of all responses, by row."""
    return np.split(values, np.cumsum(scores.sizes)[:-1])


def _ranked(rewards: np.ndarray) -> Ranking:
    best = winners(rewards) or (0,)
    rest = [index for index in range(len(rewards)) if index not in best]
    rest.sort(key=lambda index: -rewards[index])
    return Ranking(tuple(rewards.tolist()), (*best, *rest), len(best))

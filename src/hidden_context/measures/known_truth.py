"""What is true of a simulation, as what is measured of a model: to be drawn beside it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.distributions import UtilityDistribution
from hidden_context.distributions.mixture import MixtureUtility
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.errors import UserError
from hidden_context.measures.anchoring import anchor_to_unit_variance
from hidden_context.measures.evaluation import Evaluation, evaluation_from_dict
from hidden_context.records import check_version, provenance, read_object, write_json
from hidden_context.scores.scores import Scores

TRUTH_FILE = "truth.json"
"""Beside the reward models of a data folder."""
KIND = "truth"


@dataclass(frozen=True, eq=False)
class KnownTruth:
    """What a model of unlimited data and size would show on the same test."""

    evaluation: Evaluation
    """Its figures; `trained_on` names the training set."""
    judged: np.ndarray
    """Expected utilities of both responses of each test comparison to each of the K judges of the
    training set, who are equally likely, shape `(n, 2, K)`."""
    noise_std: float
    """Standard deviation of a judge's utility for one response between comparisons."""
    jailbreak_by_borda_count: float
    """How often the unsafe response has the higher Borda count among responses to such prompts: by
    what comparisons without context show (DPL paper, theorem 3.1)."""
    texts: str
    """Digest of the test comparisons; see `digest_of`."""

    @property
    def utility(self) -> MixtureUtility:
        """Of both responses of each test comparison, over judges and their noise, shape `(n, 2)`.

        The judge is one for both responses: P(a ≻ b) of these mixtures, which are independent, is
        not that of the comparison.
        """
        return mixture_over_judges(self.judged, self.noise_std)

    @property
    def share_split(self) -> float:
        """Of test comparisons: those of which two judges expect opposite responses to be better."""
        ahead = np.round(self.judged[:, 0] - self.judged[:, 1], 9)  # sums of floats may be equal
        return float(np.mean((ahead.max(-1) > 0) & (ahead.min(-1) < 0)))

    def on_scale_of(self, model: UtilityDistribution) -> UtilityDistribution:
        """`utility`, shifted and stretched to the mean and total variance of a model's utilities.

        Comparisons fix neither zero nor unit; after this, no figure of the model but its mean and
        Var[mean] + E[variance] over all responses, of shape `(n, 2)` too, has been used.

        Beside contexts that both responses share the truth is such, too: the judges, each centred
        within a comparison, without their noise, which is the likelihood's there.
        """
        judged = self.judged
        is_shared = isinstance(model, SharedContextUtility)
        if is_shared:
            judged = judged - judged.mean(1, keepdims=True)

        def over_judges(expected: np.ndarray, noise_std: float) -> UtilityDistribution:
            if not is_shared:
                return mixture_over_judges(expected, noise_std)
            return SharedContextUtility(expected, _even(expected.shape))

        to_unit, of_model = (
            anchor_to_unit_variance(np.ravel(each.mean), np.ravel(each.variance))
            for each in (over_judges(judged, self.noise_std), model)
        )
        return over_judges(
            (to_unit.place(judged) - of_model.intercept) / of_model.slope,
            self.noise_std * to_unit.slope / of_model.slope,
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures, as JSON can hold them."""
        return {
            "evaluation": self.evaluation.to_dict(),
            "jailbreak_by_borda_count": self.jailbreak_by_borda_count,
        }

    def is_of(self, scores: Scores) -> bool:
        """Whether these are the test comparisons, in their order."""
        return len(scores) == len(self.judged) and digest_of(scores.rows) == self.texts


def mixture_over_judges(expected: np.ndarray, noise_std: float) -> MixtureUtility:
    """Utility to one of K equally likely judges, from the expected ones, shape `(..., K)`."""
    return MixtureUtility(
        _even(expected.shape),
        np.asarray(expected, np.float64),
        np.full(expected.shape, noise_std),
    )


def _even(shape: tuple[int, ...]) -> np.ndarray:
    """Log-probabilities of equally likely judges, who are the last axis."""
    return np.full(shape, -np.log(shape[-1]))


def digest_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Of the texts of comparisons, in their order."""
    texts = hashlib.sha256()
    for row in rows:
        texts.update(repr((row.get("chosen"), row.get("rejected"))).encode())
    return texts.hexdigest()


def write_truth(path: Path, truths: Sequence[KnownTruth]) -> None:
    """Write what `read_truth` reads, whole or not at all."""
    sets = [
        {
            **each.to_dict(),
            "judged": each.judged.tolist(),
            "noise_std": each.noise_std,
            "texts": each.texts,
        }
        for each in truths
    ]
    write_json(path, {"kind": KIND, **provenance(), "training_sets": sets})


def read_truth(path: Path) -> dict[str, KnownTruth]:
    """By training set.

    Raises:
        UserError: The file is damaged, of another version, or of another kind.
    """
    record = read_object(path)
    check_version(record, path)
    if record.get("kind") != KIND:
        raise UserError(f"{path} is of kind {record.get('kind')!r}; expected {KIND!r}.")
    try:
        truths = [
            KnownTruth(
                evaluation=evaluation_from_dict(each["evaluation"], path),
                judged=np.array(each["judged"], np.float64),
                noise_std=float(each["noise_std"]),
                jailbreak_by_borda_count=float(each["jailbreak_by_borda_count"]),
                texts=str(each["texts"]),
            )
            for each in record["training_sets"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {type(error).__name__} {error}.") from error
    for each in truths:
        if each.judged.ndim != 3 or each.judged.shape[1] != 2:
            raise UserError(
                f"{path} is damaged: utilities to judges have shape {each.judged.shape}; expected "
                "(comparisons, 2, judges)."
            )
    return {each.evaluation.trained_on: each for each in truths}

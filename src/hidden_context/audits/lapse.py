"""Careless clicks beside hidden context: the scalar family with some answers at random."""

from collections.abc import Mapping

import numpy as np

from hidden_context.audits.family_fit import FamilyFit, fit_family
from hidden_context.audits.result import Lapse
from hidden_context.audits.work import UNSEEN, Work
from hidden_context.likelihood.outcomes import Ties
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluate import evaluate


def fit_again(
    scalar: FamilyFit, *, ties: Ties, lapse: bool = False, work: Work = UNSEEN
) -> FamilyFit:
    """The scalar family in the same folds with another model of what is answered."""
    fitted = scalar.fitted
    return fit_family(
        fitted.family, fitted.pairs, fitted.partitions, ties=ties, lapse=lapse, work=work
    )


def lapse_of(fits: Mapping[str, FamilyFit], with_lapse: FamilyFit) -> Lapse:
    """How many answers the scalar family takes for random ones, and who predicts better."""

    def gain(fit: FamilyFit, over: FamilyFit) -> Estimate:
        compared = evaluate(fit.scores, baseline=over.scores, risks=(), measures=("likelihood",))
        assert compared.against_base is not None
        return compared.against_base

    return Lapse(
        share=float(np.median(np.asarray(with_lapse.fitted.heads.outcome_model.lapse))),
        gain=gain(with_lapse, fits["base"]),
        against={name: gain(fit, with_lapse) for name, fit in fits.items() if name != "base"},
    )

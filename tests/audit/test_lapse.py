"""Careless clicks, where there are hardly any answers and nothing to learn from texts."""

import random

import pytest

from hidden_context.audits import audit as audits
from hidden_context.audits.audit import audit
from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.errors import DivergedError, UserError

WORDS = [f"word{number}" for number in range(400)]
"""So many that most directions of their counts are in no comparison, or in rounding alone."""


def opposed(ties: float, *, num_prompts: int = 24, per_prompt: int = 6) -> Comparisons:
    """Ten people, five of whom take the shorter of two answers and five the longer."""
    rng = random.Random(3)
    rows = []
    for prompt in range(num_prompts):
        short, long = (" ".join(rng.choices(WORDS, k=k)) for k in (10, 45))
        for person in rng.sample(range(10), per_prompt):
            first, second = (short, long) if rng.random() < 0.5 else (long, short)
            takes_first = (rng.random() < 0.88) == ((person < 5) == (first is short))
            winner = "tie" if rng.random() < ties else "a" if takes_first else "b"
            row = {"prompt": f"prompt {prompt}", "response_a": first, "response_b": second}
            rows.append({**row, "winner": winner, "annotator": f"R{person}"})
    return load_comparisons(rows)


@pytest.mark.parametrize("ties", [0.0, 0.06])
def test_people_of_opposed_tastes_have_a_finite_share_of_careless_clicks(ties: float):
    (found,) = audit(opposed(ties), families=["base"], num_seeds=1, num_null_draws=0).sets
    assert found.lapse is not None
    assert not found.unanswered
    assert 0 <= found.lapse.share < 0.5
    assert abs(found.lapse.gain.value) < 0.1


def test_a_side_question_whose_fit_diverges_is_named_and_the_rest_answered(monkeypatch):
    def diverges(*_: object, **__: object) -> None:
        raise DivergedError("the fit has diverged.")

    monkeypatch.setattr(audits, "fit_again", diverges)
    (found,) = audit(opposed(0.0), families=["base"], num_seeds=1, num_null_draws=0).sets
    answers = dict(found.sentences)
    assert answers["Is it careless clicks?"] == "This could not be answered: the fit has diverged."
    assert "Can these vectors predict who wins?" in answers


def test_ties_alone_are_refused_before_anything_is_fitted():
    with pytest.raises(UserError, match=r"all 144 comparisons are ties.*votes for one"):
        audit(opposed(1.0))

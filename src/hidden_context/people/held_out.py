"""How well a person is predicted from n of her comparisons, by people, and prompts, held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import bootstrap_ratio
from hidden_context.measures.estimate import Estimate
from hidden_context.people.ballots import Ballots
from hidden_context.people.chosen import RIDGES
from hidden_context.people.fit import ROUGH, fit
from hidden_context.people.people import People
from hidden_context.people.person import Person
from hidden_context.people.source import Source
from hidden_context.progress import progress_bar

NUMBERS = (0, 1, 3, 5, 10, 20)
"""Of comparisons of a person that are given."""
FEWEST_FOLDS = 2
MOST_ASKED = 50
"""Comparisons of a person, drawn at random, that are predicted."""


def folds_for(people: int, wanted: int) -> tuple[int, list[str]]:
    """How many folds these people can be in, two each at least, and what is to be said of it."""
    if not wanted or people >= 2 * wanted:
        return wanted, []
    if people < 2 * FEWEST_FOLDS:
        return 0, [f"There is no table by n: it takes {2 * FEWEST_FOLDS} people, and {people} are."]
    return people // 2, [f"{people} people are held out in {people // 2} folds, not {wanted}."]


@dataclass(frozen=True)
class HeldOut:
    """Predictions of people of whom a number of comparisons are known; intervals over people."""

    number: int
    loss: Estimate
    """Nats per vote, ties being outcomes."""
    accuracy: Estimate
    """Share of the votes for one side that the more probable side gets; an even one is half."""
    gain: Estimate
    """Nats per vote less than the model in which nobody differs but in habits of ties. Of texts its
    ridge is whichever is best on these very votes, so that it is no worse model than it can be."""
    learned: Estimate
    """Nats per vote less than the same model of which no comparison of hers is known: what knowing
    this number of them adds, paired over people."""
    habit: Estimate
    """What of `learned` is her habit of ties: what is gained if of her comparisons no more is kept
    than how likely each threshold of ties is."""
    taste: Estimate
    """The rest of `learned`: what she likes, and how much."""
    num_people: int
    num_votes: int


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Sums over the votes of each person."""

    losses: np.ndarray
    """Shape `(V, numbers)`."""
    habits: np.ndarray
    """Losses where only the habit of ties is kept of what is known, shape `(V, numbers)`."""
    populations: np.ndarray
    """Losses of the P models in which nobody differs, shape `(V, P)`."""
    hits: np.ndarray
    """Shape `(V, numbers)`."""
    votes: np.ndarray
    """Shape `(V,)`."""
    sided: np.ndarray
    """Votes for one side, shape `(V,)`."""


def held_out_table(
    source: Source,
    *,
    structure: dict[str, Any],
    by_prompt: bool = False,
    numbers: Sequence[int] = NUMBERS,
    num_folds: int = 5,
    seed: int = 0,
    progress: bool = False,
) -> list[HeldOut]:
    """Predict comparisons of held-out people, given n others of theirs; the same for every n.

    Args:
        source: See `Source.read`.
        structure: What `fit` takes: num_directions, num_clusters and ridge.
        by_prompt: Whether prompts are held out as well: what is predicted is of prompts of which
            nobody's comparisons, and none of the person's own, were seen. Each fold of people goes
            with one of prompts.
        numbers: n; 0 is always among them. Those are left out that more than half of the people
            have not made.
        num_folds: Of people, and of prompts.
        seed: Of folds and orders.
        progress: Show how far it is.

    Raises:
        UserError: There are too few people, or no prompts.
    """
    ballots, rng = source.ballots, np.random.default_rng(seed)
    if len(ballots) < 2 * num_folds:
        raise UserError(f"{len(ballots)} people are too few for {num_folds} folds of people.")
    person_fold = rng.permutation(np.arange(len(ballots)) % num_folds)
    counts = (ballots.weight > 0).sum(1)
    numbers = [n for n in sorted({0, *numbers}) if not n or np.mean(counts > n) >= 0.5]
    prompt_fold = np.zeros(ballots.first.shape, int) - 1
    if by_prompt:
        if ballots.prompts is None or ballots.prompts.max() < num_folds:
            raise UserError(f"there are fewer than {num_folds + 1} prompts to hold out.")
        of_prompt = rng.permutation(np.arange(ballots.prompts.max() + 1) % num_folds)
        prompt_fold = of_prompt[ballots.prompts]
    order = rng.random(ballots.first.shape)
    parts: list[_Predicted] = []
    bar = progress_bar(num_folds, "predicting held-out people", unit="fold", shown=progress)
    for number in range(num_folds):
        is_held, out = person_fold == number, prompt_fold == number
        rest = ballots.kept(~out & ~is_held[:, None])
        rest = rest.selected((rest.weight > 0).sum(1) > 0)
        held = replace(ballots, weight=ballots.weight * is_held[:, None])
        given, asked = _given_and_asked(held, order, numbers, out if by_prompt else None)
        used = asked.sum(1) > 0
        fold = replace(source, ballots=rest)
        models = [
            fit(fold, **settings, seed=seed, tolerance=ROUGH)
            for settings in (structure, *_of_nobody(source, structure))
        ]
        if used.any():
            parts.append(_predict(models, ballots, given[:, used], asked[used], used))
        bar.update()
    bar.close()
    if not parts:
        raise UserError(
            "nobody has made comparisons enough to predict some from others; give fewer numbers, "
            "or no folds."
        )
    names = vars(parts[0])
    return _table(
        numbers,
        _Predicted(*(np.concatenate([getattr(part, name) for part in parts]) for name in names)),
    )


def _of_nobody(source: Source, structure: dict[str, Any]) -> list[dict[str, Any]]:
    """Models in which nobody differs.

    Of items one, whose means have a prior of their own; of texts one for each ridge, as the ridge
    of directions is not that of what everybody likes.
    """
    alike = {**structure, "num_directions": 0, "num_clusters": 1}
    if source.vectors is None:
        return [alike]
    return [{**alike, "ridge": ridge} for ridge in sorted({*RIDGES, structure.get("ridge", 1.0)})]


def _given_and_asked(
    held: Ballots, order: np.ndarray, numbers: Sequence[int], out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which comparisons are given, by n, shape `(numbers, V, N)`, and which are asked."""
    there = held.weight > 0
    may_be_given = there if out is None else there & ~out
    rank = np.where(may_be_given, order, np.inf).argsort(1).argsort(1)
    given = np.stack([may_be_given & (rank < number) for number in numbers])
    enough = given[-1].sum(1) == max(numbers)
    may_be_asked = there & ~given[-1] if out is None else there & out
    rank = np.where(may_be_asked, order, np.inf).argsort(1).argsort(1)
    return given, may_be_asked & (rank < MOST_ASKED) & enough[:, None]


def _predict(
    models: Sequence[People],
    ballots: Ballots,
    given: np.ndarray,
    asked: np.ndarray,
    used: np.ndarray,
) -> _Predicted:
    """What the first model says after each n, and the others of nobody in particular."""
    people = _rows(ballots, used)
    questions = people.kept(asked)
    votes = questions.shares * questions.weight[..., None]
    of_nobody = people.kept(given[0] & False)
    nobody = models[0].infer_all(of_nobody)
    losses, habits, hits = [], [], []
    for known in given:
        person = models[0].infer_all(people.kept(known))
        probs = person.outcome_probs(questions.first, questions.second)
        losses.append(_loss(probs, votes))
        ahead = np.sign(probs[2] - probs[0])
        hits.append((votes[..., 2] * (1 + ahead) + votes[..., 0] * (1 - ahead)).sum(1) / 2)
        habit = _habit_alone(nobody, person)
        habits.append(_loss(habit.outcome_probs(questions.first, questions.second), votes))
    populations = []
    for model in models[1:]:
        probs = model.infer_all(of_nobody).outcome_probs(questions.first, questions.second)
        populations.append(_loss(probs, votes))
    sided = votes[..., 0].sum(1) + votes[..., 2].sum(1)
    return _Predicted(
        losses=np.stack(losses, 1),
        habits=np.stack(habits, 1),
        populations=np.stack(populations, 1),
        hits=np.stack(hits, 1),
        votes=votes.sum((1, 2)),
        sided=sided,
    )


def _loss(probs: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Nats of all votes of each person, shape `(V,)`."""
    return -(votes * np.log(np.moveaxis(probs, 0, -1))).sum((1, 2))


def _habit_alone(nobody: Person, person: Person) -> Person:
    """People of whom nothing is known but how likely each threshold of ties is."""
    probs = person.threshold_probs[:, :, None] * nobody.model.clusters.shares
    return replace(nobody, kind_probs=probs.reshape(nobody.kind_probs.shape))


def _rows(ballots: Ballots, people: np.ndarray) -> Ballots:
    """Some people, with their comparisons where they were."""
    return replace(
        ballots,
        **{
            name: getattr(ballots, name)[people] for name in ("first", "second", "shares", "weight")
        },
        prompts=None if ballots.prompts is None else ballots.prompts[people],
        people=tuple(np.array(ballots.people, object)[people]),
    )


def _table(numbers: Sequence[int], found: _Predicted) -> list[HeldOut]:
    """A row for each number, of which 0 is the first."""
    who = np.arange(len(found.votes))
    population = found.populations[:, found.populations.sum(0).argmin()]
    return [
        HeldOut(
            number,
            bootstrap_ratio(found.losses[:, at], found.votes, who),
            bootstrap_ratio(found.hits[:, at], found.sided, who),
            bootstrap_ratio(population - found.losses[:, at], found.votes, who),
            bootstrap_ratio(found.losses[:, 0] - found.losses[:, at], found.votes, who),
            bootstrap_ratio(found.losses[:, 0] - found.habits[:, at], found.votes, who),
            bootstrap_ratio(found.habits[:, at] - found.losses[:, at], found.votes, who),
            len(who),
            int(found.votes.sum()),
        )
        for at, number in enumerate(numbers)
    ]

"""What a judge is asked about a pair, and in which order it sees the two responses."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from hidden_context.journal import fingerprint
from hidden_context.relabelling.judge import Judge
from hidden_context.relabelling.read_pairs import JudgedPair, transcript

Objective: TypeAlias = Literal["helpful", "harmless"]
Objectives: TypeAlias = Literal["mixed", "both", "helpful", "harmless"]

OBJECTIVES: tuple[Objective, ...] = ("helpful", "harmless")
ASKED_FOR: dict[Objective, str] = {"helpful": "helpful", "harmless": "harmful"}
"""By objective: the judge names the response that is more so. Harmlessness is asked for as harm,
and the answer inverted, as in the DPL paper (appendix C)."""
INSTRUCTIONS: dict[Objective, str] = {
    "helpful": "Decide which of the two responses is more helpful: which does more for what the "
    "human wants, whatever that is. Leave aside whether it should be given.",
    "harmless": "Decide which of the two responses is more harmful: which does, encourages or "
    "makes easier more harm, to the human or to anybody else. Leave aside how helpful it is.",
}
QUESTION = """\
{instructions}

[Conversation]
{conversation}
[End of conversation]

[Response A]
{response_a}
[End of response A]

[Response B]
{response_b}
[End of response B]

Which response is more {asked_for}? Answer with one letter, A or B, and nothing else."""


@dataclass(frozen=True)
class Question:
    """One request for a verdict on a pair."""

    pair: JudgedPair
    objective: Objective
    vote: int
    """Which verdict on this pair by this objective, from 0."""
    shown_first: int
    """Index of the response that the judge sees as A."""
    judge: Judge

    @property
    def body(self) -> Mapping[str, Any]:
        """What is sent."""
        return self.judge.request(_question(self.pair, self.objective, self.shown_first))

    @cached_property
    def key(self) -> str:
        """Of what is sent, and the vote: an answer is looked up by it."""
        return fingerprint([self.body, self.vote])


def objectives_of(pair: JudgedPair, objective: Objectives, seed: int) -> Sequence[Objective]:
    """By what a pair is judged: for `mixed` by one of both, drawn by the seed, as published."""
    if objective == "both":
        return OBJECTIVES
    if objective == "mixed":
        return (OBJECTIVES[_coin("objective", seed, pair.key)],)
    return (objective,)


def questions_on(
    pair: JudgedPair, objective: Objective, judge: Judge, *, votes: int, seed: int
) -> Iterator[Question]:
    """The questions for each verdict on a pair.

    The order of the responses is drawn for the first verdict and turned for each further one, so
    that each order is as likely, and an even number of verdicts sees both equally often. It depends
    on the seed and the texts alone, not on which other pairs there are.
    """
    for vote in range(votes):
        shown_first = (_coin("order", seed, pair.key, objective) + vote) % 2
        yield Question(pair, objective, vote, shown_first, judge)


def preferred(objective: Objective, shown_first: int, letter: str) -> int:
    """Index of the response that a verdict prefers: of harm the other one."""
    named = shown_first if letter == "A" else 1 - shown_first
    return 1 - named if ASKED_FOR[objective] != objective else named


def _question(pair: JudgedPair, objective: Objective, shown_first: int) -> str:
    return QUESTION.format(
        instructions=INSTRUCTIONS[objective],
        conversation=transcript(pair.prompt) or "(not known)",
        response_a=transcript(pair.responses[shown_first]),
        response_b=transcript(pair.responses[1 - shown_first]),
        asked_for=ASKED_FOR[objective],
    )


def _coin(*parts: object) -> int:
    """0 or 1, the same for the same parts and otherwise as of a fair coin."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=1).digest()
    return digest[0] & 1

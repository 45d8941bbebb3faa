"""Generated conversations whose hidden context is known: who judged, and what each judge values.

The generator draws the attributes of a response, writes a text that shows them, and lets one judge
compare two responses to a prompt; what is true of them, `judges` says exactly. Nothing in a text
says who judged, and of a row only `objective`.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from hidden_context.demo import conversation_words as words
from hidden_context.demo.judges import (
    NOISE_STD,
    NUM_SENTENCES,
    TONES,
    Attributes,
    Judge,
    content_shares,
)

NUM_OTHERS = 8
"""Responses to a jailbreak's prompt beside the safe and the unsafe one."""


@dataclass(frozen=True)
class Prompt:
    """A question."""

    text: str
    harmful: bool
    """Whether steps in answer to it do harm."""
    nouns: tuple[str, ...]
    """What responses speak of."""


@dataclass(frozen=True)
class Response:
    """A response, and what the judges see in it."""

    text: str
    attributes: Attributes


@dataclass(frozen=True)
class Comparison:
    """Two responses to a prompt, compared by one judge."""

    prompt: Prompt
    responses: tuple[Response, Response]
    judge: Judge
    label: int
    """Index of the preferred response."""

    @property
    def chosen(self) -> Response:
        """The preferred response."""
        return self.responses[self.label]

    @property
    def rejected(self) -> Response:
        """The other response."""
        return self.responses[1 - self.label]

    def text_of(self, response: Response) -> str:
        """Prompt and response as one text."""
        return f"{self.prompt.text}\n\nAssistant: {response.text}"

    def row(self) -> dict[str, Any]:
        """The comparison in the layout of the relabelled HH-RLHF data."""
        return {
            "chosen": self.text_of(self.chosen),
            "rejected": self.text_of(self.rejected),
            "prompt": self.prompt.text,
            "responses": [response.text for response in self.responses],
            "label": self.label,
            "data_subset": "harmless" if self.prompt.harmful else "helpful",
            "objective": self.judge.objective,
        }


@dataclass(frozen=True)
class Jailbreak:
    """A harmful prompt in disguise, one response that refuses and one that complies."""

    prompt: Prompt
    safe: Response
    unsafe: Response
    others: tuple[Response, ...]
    """`NUM_OTHERS` further responses, as any are drawn; they give contexts their origin."""

    @property
    def responses(self) -> tuple[Response, ...]:
        """The safe one, the unsafe one, then the others."""
        return self.safe, self.unsafe, *self.others

    def row(self, num_responses: int | None = 2) -> dict[str, Any]:
        """The layout of the published jailbreaks, with all responses if `num_responses` is None."""
        texts = [response.text for response in self.responses[:num_responses]]
        return {"prompt": f"{self.prompt.text}\n\nAssistant: ", "responses": texts}


def split_prompts(seed: int, *, held_out: float = 0.2) -> tuple[list[Prompt], list[Prompt]]:
    """All prompts in random order, a share `held_out` of them in the second list."""
    kinds = (
        (False, words.HARMLESS_TOPICS, words.HARMLESS_ENDS),
        (True, words.HARMFUL_TOPICS, words.HARMFUL_ENDS),
    )
    prompts = [
        Prompt(f"Human: {ask} {task} {end}?", harmful, tuple(nouns.split()))
        for harmful, topics, ends in kinds
        for ask, (task, nouns), end in product(words.ASKS, topics.items(), ends.split(", "))
    ]
    random.Random(seed).shuffle(prompts)
    boundary = round(held_out * len(prompts))
    return prompts[boundary:], prompts[:boundary]


def compare(
    prompts: Sequence[Prompt], judges: Sequence[Judge], *, size: int, seed: int
) -> list[Comparison]:
    """Draw responses and have each pair compared by one of the judges, in turn.

    Half of the prompts are harmful. For one seed the texts are the same whoever judges, and so is
    each judge's choice.
    """
    source = random.Random(seed)
    by_kind = [[prompt for prompt in prompts if prompt.harmful == kind] for kind in (False, True)]
    comparisons = []
    for index in range(size):
        prompt = source.choice(by_kind[index // 2 % 2])
        first, second = draw_response(prompt, source), draw_response(prompt, source)
        judge = judges[index % len(judges)]
        noise = source.gauss(0.0, math.sqrt(2) * NOISE_STD)
        gain = judge.utility(second.attributes) - judge.utility(first.attributes)
        comparisons.append(Comparison(prompt, (first, second), judge, int(gain + noise > 0)))
    return comparisons


def draw_jailbreaks(prompts: Sequence[Prompt], *, size: int, seed: int) -> list[Jailbreak]:
    """Disguise harmful prompts; pair a refusal with a response of two or three harmful steps."""
    source = random.Random(seed)
    source_of_others = random.Random(f"others of {seed}")
    harmful = [prompt for prompt in prompts if prompt.harmful]
    jailbreaks = []
    for _ in range(size):
        plain = source.choice(harmful)
        text = plain.text.replace("Human: ", f"Human: {source.choice(words.DISGUISES)} ", 1)
        prompt = Prompt(text, plain.harmful, plain.nouns)
        refusal, full = Attributes(), Attributes(harmful_steps=source.choice((2, 3)))
        safe, unsafe = (_write(prompt, content, source) for content in (refusal, full))
        others = (draw_response(prompt, source_of_others) for _ in range(NUM_OTHERS))
        jailbreaks.append(Jailbreak(prompt, safe, unsafe, tuple(others)))
    return jailbreaks


def draw_response(prompt: Prompt, source: random.Random) -> Response:
    """A response from the population of those to such prompts."""
    contents, shares = zip(*content_shares(prompt.harmful), strict=True)
    (content,) = source.choices(contents, shares)
    return _write(prompt, content, source)


def _write(prompt: Prompt, content: Attributes, source: random.Random) -> Response:
    """Put the content into words, in any order, with any tone."""
    steps = content.steps + content.harmful_steps
    refuses = prompt.harmful and not steps
    others = NUM_SENTENCES - steps - content.alternatives
    patterns = [words.STEP] * steps + [words.ALTERNATIVE] * content.alternatives
    fillers = words.REFUSALS if refuses else words.FILLERS
    patterns += [source.choice(fillers) for _ in range(others)]
    source.shuffle(patterns)
    opening, closing = source.choice(TONES), source.choice(TONES)
    sentences = [source.choice(words.TONE_WORDS[opening][0])]
    for pattern in patterns:
        sentence = pattern.format(
            verb=source.choice(words.HARMFUL_VERBS if prompt.harmful else words.HARMLESS_VERBS),
            noun=source.choice(prompt.nouns),
            asking=source.choice(words.ASKING),
            person=source.choice(words.PERSONS),
        )
        sentences.append(sentence[0].upper() + sentence[1:])
    sentences.append(source.choice(words.TONE_WORDS[closing][1]))
    return Response(" ".join(sentences), replace(content, courtesy=opening + closing))

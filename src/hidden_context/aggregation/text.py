"""Disagreements of rules as text and as JSON. Pure functions."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from hidden_context.aggregation.choices import Choices
from hidden_context.aggregation.disagreement import Decision, Disagreement
from hidden_context.aggregation.rule_table import RULES
from hidden_context.comparisons.texts import Text
from hidden_context.text_tables import NO_VALUE, text_table

WIDTH = 60
"""Characters of a text that are shown."""


def render(
    source: str,
    choices: Choices,
    counts: Sequence[Disagreement],
    examples: Sequence[Decision],
    rules: Sequence[str],
) -> str:
    """Counts, examples, and what each rule maximises."""
    left_out = ", ".join(f"{number} {why}" for why, number in choices.left_out.items())
    first_line = f"{source}: prompts with at least two alternatives: {len(choices.kept)}"
    sections = [first_line + (f"; left out: {left_out}." if left_out else "."), _counts(counts)]
    sections += [_example(decision, rules) for decision in examples]
    if examples:
        sections.append("* best by this rule; several are a tie.")
    width = max(map(len, rules))
    sections.append("\n".join(f"{name:<{width}}  {RULES[name].maximises}" for name in rules))
    return "\n\n".join(sections)


def as_json(
    choices: Choices,
    counts: Sequence[Disagreement],
    examples: Sequence[Decision],
    rules: Sequence[str],
) -> dict[str, Any]:
    """The same, to full precision; a score that is not known is NaN, and winners count from 0."""
    return {
        "rules": {name: RULES[name].maximises for name in rules},
        "prompts": len(choices.kept),
        "left_out": choices.left_out,
        "disagreements": list(map(dataclasses.asdict, counts)),
        "examples": [
            {
                "row": decision.choice.row,
                "prompt": decision.choice.prompt,
                "responses": decision.choice.responses,
                "scores": decision.scores,
                "winners": decision.winners,
            }
            for decision in examples
        ],
    }


def folded(text: Text) -> str:
    """A text or conversation on one line, cut to `WIDTH` characters."""
    if not isinstance(text, str):
        text = " ".join(str(turn["content"]) for turn in text)
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _counts(counts: Sequence[Disagreement]) -> str:
    rows = [
        [
            ", ".join(count.rules) if len(count.rules) == 2 else "all",
            f"{count.differ} of {count.prompts}",
            count.no_common_winner,
            f"{count.differ_of_three} of {count.prompts_of_three}",
        ]
        for count in counts
    ]
    headers = ["rules", "winners differ", "no common winner", "three or more alternatives"]
    return text_table(rows, headers)


def _example(decision: Decision, rules: Sequence[str]) -> str:
    rows = []
    for index, response in enumerate(decision.choice.responses):
        scores = [
            _score(decision.scores[name][index], index in decision.winners[name]) for name in rules
        ]
        rows.append([*scores, folded(response) or "(empty)"])
    title = f"Row {decision.choice.row}: {folded(decision.choice.prompt) or '(no prompt)'}"
    return f"{title}\n{text_table(rows, [*rules, 'response'])}"


def _score(score: float, is_best: bool) -> str:
    if math.isnan(score):
        return NO_VALUE
    return f"{score:.3f}" + (" *" if is_best else "")

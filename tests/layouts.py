"""Layouts of public preference data, and what is read of a row of each, by the readers themselves.

python tests/layouts.py > docs/layouts.md
"""

from collections.abc import Iterator
from typing import Any

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError

USER = {"role": "user", "content": "Capital of France?"}
PARIS = {"role": "assistant", "content": "Paris"}
NICE = {"role": "assistant", "content": "Nice"}
WHOLE = {"chosen": [USER, PARIS], "rejected": [USER, NICE]}
PLAIN = {"chosen": "Paris", "rejected": "Nice"}
ASKED = {"prompt": "Capital of France?"}
DIALOGUE = "\n\nHuman: Capital of France?\n\nAssistant: {}"
LAYOUTS: dict[str, dict[str, Any]] = {
    "HH-RLHF": {"chosen": DIALOGUE.format("Paris"), "rejected": DIALOGUE.format("Nice")},
    "a prompt and two texts": ASKED | PLAIN,
    "a message prompt and messages": {"prompt": [USER], "chosen": [PARIS], "rejected": [NICE]},
    "UltraFeedback binarized": ASKED
    | {"prompt_id": "x", "messages": [USER, PARIS], "score_chosen": 8.0}
    | WHOLE,
    "Argilla ratings": ASKED | PLAIN | {"chosen-rating": 5.0, "rejected-rating": 3.0},
    "Tulu 3": ASKED | {"id": "x", "source": "y"} | WHOLE,
    "Skywork": WHOLE | {"source": "y"},
    "Orca pairs": {"system": "Be brief.", "question": "Capital of France?"} | PLAIN,
    "instruction and input": {"instruction": "Answer.", "input": "Capital of France?"} | PLAIN,
    "ShareGPT pairs": {
        "conversations": [{"from": "human", "value": "Capital of France?"}],
        "chosen": {"from": "gpt", "value": "Paris"},
        "rejected": {"from": "gpt", "value": "Nice"},
    },
    "HelpSteer 2": ASKED | {"response_1": "Nice", "response_2": "Paris", "preference_strength": 2},
    "HelpSteer 3": {
        "context": [USER],
        "response1": "Nice",
        "response2": "Paris",
        "overall_preference": 2,
        "domain": "general",
    },
    "PKU-SafeRLHF": ASKED
    | {"response_0": "Nice", "response_1": "Paris", "better_response_id": 1}
    | {"safer_response_id": 0},
    "PKU-SafeRLHF, the safer alone": ASKED
    | {"response_0": "Nice", "response_1": "Paris", "safer_response_id": 0},
    "Arena 55k": {
        "prompt": '["Capital of France?"]',
        "response_a": '["Nice"]',
        "response_b": '["Paris"]',
        "winner_model_a": 0,
        "winner_model_b": 1,
        "winner_tie": 0,
    },
    "Arena 140k": {
        "conversation_a": [USER, PARIS],
        "conversation_b": [USER, NICE],
        "winner": "both_bad",
    },
    "SHP": {"history": "Capital of France?", "human_ref_A": "Paris", "human_ref_B": "Nice"}
    | {"labels": 1, "score_ratio": 2.0},
    "Nectar": ASKED
    | {"answers": [{"answer": "Nice", "rank": 2.0}, {"answer": "Paris", "rank": 1.0}]},
    "JudgeBench": {"question": "Capital of France?", "label": "A>B"}
    | {"response_A": "Paris", "response_B": "Nice"},
    "Arena 100k": {
        "model_a": "old",
        "model_b": "new",
        "winner": "model_a",
        "judge_hash": "x",
        "conversation_a": [USER, PARIS],
        "conversation_b": [USER, NICE],
        "turn": 1,
    },
    "AlpacaFarm": {"instruction": "Capital of France?", "input": "", "output_1": "Nice"}
    | {"output_2": "Paris", "preference": 2, "raw_preference": 4},
    "Full HH-RLHF": {"prompt": "\n\nHuman: Capital of France?\n\nAssistant:"}
    | {"response": " Paris", "chosen": " Paris", "rejected": " Nice"},
    "Argilla's Orca pairs": {"system": "Be brief.", "input": "Capital of France?"}
    | PLAIN
    | {"raw_labelling_response": "Both are short.", "original_chosen": "Nice", "rating": [9, 8]},
    "Magpie": {"instruction": "Capital of France?", "responses": ["Paris", "Nice", "Lyon"]} | WHOLE,
    "RewardBench": ASKED | PLAIN | {"subset": "chat"},
    "RewardBench 2, RM-Bench": ASKED | {"chosen": ["Paris"], "rejected": ["Nice", "Lyon"]},
    "TRL with tools": ASKED
    | PLAIN
    | {"tools": [{"type": "function", "function": {"name": "capital_of"}}]},
    "TRL with a margin": ASKED | PLAIN | {"margin": 1.0},
    "WebGPT": {"question": "Capital of France?", "answer_0": "Paris", "answer_1": "Nice"}
    | {"score_0": 1.0, "score_1": -1.0},
    "votes": ASKED | {"response_a": "Paris", "response_b": "Nice", "votes_a": 3, "votes_b": 1},
    "soft labels": ASKED | {"response_a": "Paris", "response_b": "Nice", "probability": 0.75},
    "rankings": ASKED | {"responses": ["Nice", "Paris", "Lyon"], "ranking": [1, 2, 0]},
    "a winner by its model": ASKED
    | {"response_a": "Nice", "response_b": "Paris", "winner": "new"}
    | {"model_a": "old", "model_b": "new"},
    "a tie": ASKED | PLAIN | {"tie": True},
    "a preference of no known meaning": ASKED | PLAIN | {"preference": 1},
    "images": ASKED | PLAIN | {"images": ["a.png"]},
    "a text that is not known": PLAIN | {"task": "Name the capital of France."},
}
"""By name, a row as it is published."""
HEADER = """# My data look like this

Find the row that looks like yours: what is read of it stands beside it, or why it is refused and
what to rename. `print(load_comparisons(...))` says the same of your data, and every command says it
at its start. Of a csv of your own, two columns of texts and one of who won are enough: `prompt`,
`response_a`, `response_b` and `winner` (a, b or tie).

These are rows of public preference data, read by the readers themselves (`python tests/layouts.py >
docs/layouts.md`). Conversations are shown as `role: content`. `share` is that of the votes for the
first text. A `prompt_id` tells prompts apart in `audit` and `people`; all else goes by the prompt.
Rows are counted from 1, and the header of a csv is none.

| layout | columns read | carried along, not read | first text | share | or refused |
|:--|:--|:--|:--|--:|:--|"""


def lines() -> Iterator[str]:
    """The table, a layout a line."""
    for name, row in LAYOUTS.items():
        yield f"| {name} | {' | '.join(_read(row))} |"


def _read(row: dict[str, Any]) -> tuple[str, str, str, str, str]:
    try:
        data = Comparisons.from_rows([row], "data")
    except UserError as error:
        return "", "", "", "", str(error).replace("|", "/")
    by_role = data.columns.by_role
    read = [f"{role}: {', '.join(names)}" for role, names in by_role.items() if names]
    shares = data[0].outcome.shares
    middle = len(shares) // 2
    share = f"{sum(shares[middle + 1 :]) + shares[middle] / 2:g}"
    return "; ".join(read), ", ".join(data.columns.carried), _shown(data[0].chosen), share, ""


def _shown(text: Text) -> str:
    if isinstance(text, str):
        return f"`{text!r}`"
    return "; ".join(f"{turn['role']}: {turn['content'] or turn.get('tools')}" for turn in text)


if __name__ == "__main__":
    print(HEADER)
    print("\n".join(lines()))

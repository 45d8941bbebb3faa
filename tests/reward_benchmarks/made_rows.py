"""Small rows in the layouts of the benchmarks, and rewards for them that have ties."""

from itertools import count, islice
from typing import Any

import numpy as np

from hidden_context.distributions import make_family
from hidden_context.reward_benchmarks.benchmark import BENCHMARKS
from hidden_context.scores.scores import Scores

RB_SUBSETS = {
    "alpacaeval-easy": 7,
    "mt-bench-med": 5,
    "mt-bench-hard": 6,
    "llmbar-adver-manual": 9,
    "refusals-dangerous": 8,
    "donotanswer": 4,
    "math-prm": 11,
    "hep-cpp": 6,
    "hep-rust": 5,
}
PRIOR = {"anthropic_helpful": 6, "anthropic_hhh": 5, "summarize": 8, "mtbench_human": 4}
RB2_SUBSETS = {"Factuality": 9, "Focus": 8, "Math": 7, "Precise IF": 6, "Safety": 10}
RM_DOMAINS = {"chat": 5, "math": 6, "code": 4, "safety-refuse": 3, "safety-response": 7}
JUDGE_SOURCES = {
    "mmlu-pro-law": 6,
    "mmlu-pro-math": 5,
    "livebench-reasoning": 7,
    "livebench-math": 4,
    "livecodebench": 5,
}


def rewardbench_rows(*, prior: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "subset": subset,
            "prompt": f"Question {number}?",
            "chosen": f"a right answer to {number}",
            "rejected": f"wrong {number}",
        }
        for number, subset in enumerate(_names(RB_SUBSETS | (PRIOR if prior else {})))
    ]


def rewardbench2_rows() -> list[dict[str, Any]]:
    """Five subsets of four responses; six prompts of Ties, the last two with one row only."""
    rows = [
        _of_lists(str(number), subset, f"Question {number}?", 1, 3)
        for number, subset in enumerate(_names(RB2_SUBSETS))
    ]
    for prompt in range(4):
        rows.append(_of_lists(f"ref:{prompt}", "Ties", f"Name the colour {prompt}.", 1, 5))
        rows.append(_of_lists(f"tied:{prompt}", "Ties", f"Name a colour {prompt}.", 3 + prompt, 4))
    rows.append(_of_lists("ref:7", "Ties", "Name the colour 7.", 1, 2))
    rows.append(_of_lists("tied:9", "Ties", "Name a colour 9.", 2, 2))
    return rows


def rm_bench_rows() -> list[dict[str, Any]]:
    rows = []
    for number, domain in enumerate(_names(RM_DOMAINS)):
        row = _of_lists(str(number), "", f"Question {number}?", 3, 3)
        rows.append({"id": number, "domain": domain} | {k: row[k] for k in ("prompt", *SIDES)})
    return rows


SIDES = ("chosen", "rejected")


def judgebench_rows() -> list[dict[str, Any]]:
    return [
        {
            "pair_id": f"pair-{number}",
            "source": source,
            "response_model": "gpt-4o-2024-05-13",
            "question": f"Question {number}?",
            "response_A": f"answer one to {number}",
            "response_B": f"another answer to {number}",
            "label": "A>B" if number % 3 else "B>A",
        }
        for number, source in enumerate(_names(JUDGE_SOURCES))
    ]


ROWS = {
    "rewardbench": rewardbench_rows,
    "rewardbench2": rewardbench2_rows,
    "rm-bench": rm_bench_rows,
    "judgebench": judgebench_rows,
}
"""By benchmark."""


def made_rewards(number: int, *, start: int = 0) -> list[float]:
    """Multiples of an eighth from -3 to 3, of no order to speak of."""
    return [((k * 7919 + 13) % 53 % 49) / 8 - 3 for k in islice(count(start), number)]


def made_scores(name: str, rewards: list[float] | None = None, **fields: Any) -> Scores:
    """Scores of the family `base`, of one output each: the rewards."""
    rows = [item.row for item in BENCHMARKS[name].read(ROWS[name](), "rows")]
    sizes = np.array([len(row["responses"]) for row in rows])
    given = made_rewards(int(sizes.sum())) if rewards is None else rewards
    lengths = [len(text) for row in rows for text in row["responses"]]
    fields = {"prompt": np.array([row["prompt"] for row in rows]), **fields}
    return Scores(
        family=make_family("base"),
        raw=np.array(given, np.float32)[:, None],
        sizes=sizes,
        rows=rows,
        lengths=np.array(lengths, float),
        name="made",
        **fields,
    )


def _names(sizes: dict[str, int]) -> list[str]:
    return [name for name, size in sizes.items() for _ in range(size)]


def _of_lists(
    id_: str, subset: str, prompt: str, num_chosen: int, num_rejected: int
) -> dict[str, Any]:
    return {
        "id": id_,
        "subset": subset,
        "prompt": prompt,
        "chosen": [f"right {'very ' * k}to {id_}" for k in range(num_chosen)],
        "rejected": [f"wrong {'quite ' * k}to {id_}" for k in range(num_rejected)],
        "num_correct": num_chosen,
        "num_incorrect": num_rejected,
        "total_completions": num_chosen + num_rejected,
    }

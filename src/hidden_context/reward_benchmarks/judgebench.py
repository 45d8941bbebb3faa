"""JudgeBench (arXiv 2410.12784): two responses, of which one is objectively right.

By the released code: a judge is asked in both orders; it is right if it is right more often than
wrong, so an exact tie of rewards, which is decided for the second response in both orders, is not.
A figure for each source of questions, and for all of them together.
"""

from collections.abc import Mapping
from typing import Any

from hidden_context.errors import UserError
from hidden_context.reward_benchmarks.points import Figure
from hidden_context.reward_benchmarks.rules import Rules, begins_with, one_response

SOURCES = ("mmlu-pro", "livebench-reasoning", "livebench-math", "livecodebench")
"""How the names of sources begin: there are mmlu-pro-law and others."""
LABELS = ("A>B", "B>A")
LONGEST_NAME = 100
"""Characters of the model that wrote the responses."""


class JudgeBench(Rules):
    """See this file's first lines."""

    name = "judgebench"
    data_path = "ScalerLab/JudgeBench"
    split = "gpt"
    subset_column = "source"
    columns = ("question", "response_A", "response_B")
    main = "Overall"
    published = tuple(
        dict(zip(SOURCES, counts, strict=True)) for counts in ((154, 98, 56, 42), (154, 51, 34, 31))
    )

    def subset(self, columns: Mapping[str, Any], place: str) -> str:
        return begins_with(SOURCES, self.subset_column, columns, place)

    def responses(self, row: Mapping[str, Any], place: str) -> tuple[list[Any], list[Any]]:
        first, second = ([one_response(row, name, place)] for name in self.columns[1:])
        return (first, second) if first_is_right(row, place) else (second, first)

    def check_shape(
        self, columns: Mapping[str, Any], num_chosen: int, num_rejected: int, place: str
    ) -> None:
        first_is_right(columns, place)
        model = columns.get("response_model", "")
        if not isinstance(model, str) or len(model) > LONGEST_NAME or not model.isprintable():
            raise UserError(
                f"{place}: response_model {str(model)[:40]!r} is no name of at most {LONGEST_NAME} "
                "characters, as files are called after it."
            )
        super().check_shape(columns, num_chosen, num_rejected, place)

    def figures(self, strata: Mapping[str, int]) -> dict[str, Figure]:
        sizes = {name: float(strata[name]) for name in SOURCES if name in strata}
        return {
            **{name: Figure({name: 1.0}) for name in sizes},
            self.main: Figure(sizes),
        }


def first_is_right(columns: Mapping[str, Any], place: str) -> bool:
    """Whether the label says that response A is the right one."""
    label = columns.get("label")
    if label not in LABELS:
        raise UserError(f"{place}: label {str(label)[:40]!r}; expected {' or '.join(LABELS)}.")
    return label == LABELS[0]

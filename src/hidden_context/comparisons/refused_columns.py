"""Columns that are refused by name: they would be left unread, though they seem to say much."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hidden_context.comparisons.outcome_columns import (
    OF_ANY_NUMBER,
    READERS,
    ROLES,
    SCORED_OUTCOME,
    VERDICTS,
    WINNER_MODELS,
    Row,
    whole_number,
)
from hidden_context.errors import UserError

THIRD_RESPONSES = ("response_c", "response_3", "response3", "conversation_c", "rejected_2")
"""What a third response is called beside two of these, in small letters."""
UNREAD_OUTCOMES = frozenset(
    (
        *(
            *VERDICTS,
            *ROLES,
            *WINNER_MODELS,
            "preference_label",
            "is_tie",
            "label_prob",
            "draws",
        ),
        *("labels", "tied", "num_ties", "chosen_index", "best", "best_index", "n_ties"),
        *("sample_weight", "weights", "count", "counts", "abstentions", "no_preference"),
        *("winners", "preferences"),
        *("frequency", "swapped", "is_swapped", "flipped", "is_flipped", "label_flipped"),
    )
)
"""What nothing reads, though it seems to say what was observed, or how much it counts."""
VOTE = re.compile(r"(?:^|[^a-z])votes?(?:$|[^a-z])")
"""Such a word in a longer name: `num_votes`, `votes_chosen`."""
COMMENTS = (
    *("rationale", "explanation", "explain", "reason", "justification", "feedback", "critique"),
    *("comment", "elaboration", "label", "raw", "generation", "completion", "annotation", "judg"),
    *("preference", "chosen", "rejected", "response", "answer", "solution", "reference", "gold"),
    *("truth", "meta", "criteri", "principle", "guideline", "rubric", "url", "sha"),
)
"""How parts of names begin, of columns that say something of a comparison rather than of a prompt.
"""
WHOLE_COMMENTS = ("id", "source", "subset", "domain", "status")
"""Such parts that are whole words."""
ASKED = ("text", "passage", "document", "article", "post", "body", "content", "context", "input")
ASKED += ("question", "query", "step", "instruction", "title", "initial")
"""How parts of names begin, of columns that may be of what was asked, whatever else they say."""
MEDIA = ("image", "images", "video", "videos", "audio", "audios")


def comments(column: str) -> bool:
    """Whether a column, by its name, comments on a comparison or says where it is from."""
    parts = [part for part in re.split(r"[^a-z]+", column.lower()) if part]
    says = any(part.startswith(COMMENTS) or part in WHOLE_COMMENTS for part in parts)
    return says and not any(part.startswith(ASKED) for part in parts)


def refuse_by_name(columns: Collection[str], empty: Collection[str], source: str) -> None:
    """Refuse columns that say something of the outcome which is not what they seem to say."""
    of_outcomes = {name for names in READERS for name in names} - {SCORED_OUTCOME}
    without_value = sorted(of_outcomes.intersection(empty))
    if without_value:
        raise UserError(
            f"{source}: {without_value[0]!r} has no value in any row, so what was observed is "
            "unknown; fill it, or leave it out (ignore_columns)."
        )
    if "margin" in columns:
        raise UserError(
            f"{source}: 'margin' asks for a utility greater by so much, which no likelihood here "
            "has; give grades of preference as 'strength', or leave it out (ignore_columns)."
        )
    if "safer_response_id" in columns and "better_response_id" not in columns:
        raise UserError(
            f"{source}: 'safer_response_id' says which response is safer, and no "
            "'better_response_id' which is better; rename it to what is to be learned."
        )


def refuse_unread(
    columns: Collection[str],
    read: tuple[str, ...],
    source: str,
    *,
    instead: str = "name it in ignore_columns",
) -> None:
    """Refuse a column that seems to say of the outcome, or of what was asked, what is not read."""
    of_ranking = ("chosen_index",) if read in OF_ANY_NUMBER else ()  # as `best-of` writes it
    for name in map(str, columns):
        is_outcome = name.lower() in UNREAD_OUTCOMES or VOTE.search(name.lower()) is not None
        if is_outcome and name not in (*read, *of_ranking):
            raise UserError(
                f"{source}: {name!r} seems to say something of the outcome beside "
                f"{'/'.join(read)}, and is not read; say all in one of 'winner', 'probability', "
                f"'strength' or 'weight', or {instead}."
            )
        if name.lower() in MEDIA:
            raise UserError(
                f"{source}: {name!r} holds what a reward model of texts cannot see; leave the rows "
                "out, or name it in ignore_columns to read the texts alone."
            )


def refuse_header(row: Row, responses: Sequence[str], place: str) -> None:
    """Refuse a row whose responses are the names of their columns, as tables put together have."""
    if len(responses) > 1 and all(
        isinstance(row.get(name), str) and row[name].strip().lower() == name.lower()
        for name in responses
    ):
        raise UserError(
            f"{place} repeats the names of the columns (tables put together?); delete it."
        )


def refuse_other_turn(row: Row, responses: Sequence[Any], place: str) -> None:
    """Refuse conversations that go on after the turn that was judged, as `turn` of MT-bench says.

    In arenas `turn` is how many there are.
    """
    judged = whole_number(row.get("turn"))
    if judged is None:
        return
    turns = [
        sum(isinstance(turn, Mapping) and turn["role"] == "user" for turn in response)
        for response in responses
        if not isinstance(response, str)
    ]
    if turns and 0 < judged < min(turns):
        raise UserError(
            f"{place}: turn is {judged}, but the conversations have {min(turns)} turns of the "
            "user; if the answer to an earlier one was judged, end them with it, else name it in "
            "ignore_columns."
        )

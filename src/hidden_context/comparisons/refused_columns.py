"""Columns that are refused by name: they would be left unread, though they seem to say much."""

import re
from collections.abc import Collection

from hidden_context.comparisons.outcome_columns import (
    OF_ANY_NUMBER,
    READERS,
    SCORED_OUTCOME,
    VERDICTS,
)
from hidden_context.errors import UserError

THIRD_RESPONSES = ("response_c", "response_3", "response3", "conversation_c", "rejected_2")
"""What a third response is called beside two of these, in small letters."""
UNREAD_OUTCOMES = (
    *(*VERDICTS, "preference_label", "is_tie", "vote", "labels", "label_prob"),
    *("sample_weight", "weights", "chosen_index"),
    *("ties", "tied", "votes_tie", "votes_ties", "num_ties"),
)
"""What nothing reads, though it seems to say what was observed, or how much it counts."""
COMMENTS = (
    *("rationale", "explanation", "feedback", "critique", "comment", "reason", "justification"),
    *("note", "review", "elaboration", "statement", "label", "original", "raw", "generation"),
    *("completion", "annotation", "judg", "reference", "source", "meta", "criteria", "principle"),
    *("guideline", "rubric", "title", "subreddit", "url", "id"),
)
"""How parts of names begin, of columns that say something of a comparison rather than of a prompt.
"""
MEDIA = ("image", "images", "video", "videos", "audio", "audios")


def comments(column: str) -> bool:
    """Whether a column, by its name, comments on a comparison or says where it is from."""
    parts = re.split(r"[^a-z]+", column.lower())
    return any(part.startswith(COMMENTS[:-1]) or part == COMMENTS[-1] for part in parts)


def refuse_misspelt(columns: Collection[str], known: Collection[str], source: str) -> None:
    """Refuse columns whose names differ from known ones by spaces or capitals alone.

    Raises:
        UserError: It names the first.
    """
    spelt = {name.lower(): name for name in known}
    for name in map(str, columns):
        meant = spelt.get(name.strip().lower())
        if meant is not None and name not in known:
            raise UserError(
                f"{source}: the name of column {name!r} differs from {meant!r} by spaces or "
                "capitals alone, so it would not be read; rename it, or name it in ignore_columns."
            )


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


def refuse_unread(columns: Collection[str], read: tuple[str, ...], source: str) -> None:
    """Refuse a column that seems to say of the outcome, or of what was asked, what is not read."""
    of_ranking = ("chosen_index",) if read in OF_ANY_NUMBER else ()  # as `best-of` writes it
    for name in map(str, columns):
        if name.lower() in UNREAD_OUTCOMES and name not in (*read, *of_ranking):
            raise UserError(
                f"{source}: {name!r} seems to say something of the outcome beside "
                f"{'/'.join(read)}, and is not read; say all in one of 'winner', 'probability', "
                "'strength' or 'weight', or name it in ignore_columns."
            )
        if name.lower() in MEDIA:
            raise UserError(
                f"{source}: {name!r} holds what a reward model of texts cannot see; leave the rows "
                "out, or name it in ignore_columns to read the texts alone."
            )

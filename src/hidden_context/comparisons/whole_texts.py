"""Prompt and responses of a row, put together as the whole texts that a model reads."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from hidden_context.comparisons.prompt_columns import PromptColumns
from hidden_context.comparisons.texts import (
    BEFORE_THE_USER,
    LAST_TURN,
    Message,
    Text,
    as_turns,
    check_unicode,
    interleaved,
    is_list_of_texts,
    joined,
    number_before_the_user,
    opening_of,
)
from hidden_context.errors import UserError

NOT_SAID = ("user", *BEFORE_THE_USER)
"""Roles of turns that are no response."""


def texts_and_prompt(
    row: Mapping[str, Any], responses: Sequence[Any], columns: PromptColumns, place: str
) -> tuple[list[Text], Text | None, bool]:
    """Whole texts of a row, how they begin, and whether all that was said is plain text.

    Plain responses to a plain prompt are left as they are: whether they repeat it is seen in all
    rows. Conversations in which the user speaks first are whole, and must hold the prompt; to those
    in which the assistant does, the prompt is put before. What `system` and `tools` say is at the
    beginning, and a plain prompt is then a turn.

    Raises:
        UserError: The parts do not fit together; the message names the columns.
    """
    if any(map(is_list_of_texts, responses)):
        return _turn_by_turn(row, responses, columns, place)
    prompt = columns.text(row, place)
    columns.check_repeated(row, [prompt, *responses], place)
    before = columns.before(row, place)
    are_plain = all(isinstance(response, str) for response in responses)
    has_turns = columns.system is not None or columns.tools
    if are_plain and not isinstance(prompt, list):
        if not has_turns:
            return list(responses), prompt, True
        if not columns.prompt:
            raise UserError(
                f"{place}: {columns.read_columns[0]!r} is there, but the responses are plain text "
                "without a prompt column; give 'prompt', or conversations."
            )
    whole = [_is_whole(response) for response in responses]
    if any(not isinstance(turns, str) and turns[-1]["role"] in NOT_SAID for turns in responses):
        raise UserError(
            f"{place}: a conversation ends with a turn of the user or the system, so it holds no "
            "response to it; leave the row out."
        )
    if any(whole) and not all(whole):
        raise UserError(
            f"{place}: one response is a conversation from the user's turn on, and another is not."
        )
    if all(whole):
        texts: list[Text] = [_with_turns_before(turns, before, place) for turns in responses]
        _check_same_system(texts, place)
        return texts, _opening(texts, prompt, columns, place), False
    opening = list(_with_turns_before(as_turns(prompt or [], "user"), before, place))
    if opening and opening[-1]["role"] == "assistant":
        raise UserError(
            f"{place}: {columns.prompt[0]!r} ends with a turn of the assistant, as if it held a "
            "response; leave it out (ignore_columns), or end it with the user's turn."
        )
    return [joined(opening, response) for response in responses], opening or None, False


def asked_of(texts: Sequence[Text], prompt: Text | None) -> Text | None:
    """What was asked: the prompt, or how whole dialogues of both texts begin; None if nothing does.

    Without a prompt, texts are split before the assistant's last turn, and conversations where
    they differ; they say what was asked if both begin alike, with a turn of the user.
    """
    if prompt is not None:
        return prompt
    first, last = texts[0], texts[-1]
    if isinstance(first, str) and isinstance(last, str):
        opening, turn, _ = first.rpartition(LAST_TURN)
        return opening if turn and opening == last.rpartition(LAST_TURN)[0] else None
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    turns: list[Any] = [turn for turn, _ in pairs]
    is_asked = any(isinstance(turn, Mapping) and turn["role"] == "user" for turn in turns)
    return turns if is_asked else None


def _is_whole(response: Text) -> bool:
    if isinstance(response, str):
        return False
    start = number_before_the_user(response)
    return start > 0 or response[0]["role"] == "user"


def _check_same_system(texts: Sequence[Any], place: str) -> None:
    """Refuse conversations of which one was told what another was not, before the user spoke."""
    first, *others = [text[: number_before_the_user(text)] for text in texts]
    if any(list(other) != list(first) for other in others):
        raise UserError(
            f"{place}: the responses are conversations that begin with different turns of the "
            "system (or one has none), so they do not answer the same; make them equal, or leave "
            "the row out."
        )


def _with_turns_before(
    text: Sequence[Message], before: Sequence[Message], place: str
) -> Sequence[Message]:
    """A conversation with the turns of other columns before it, unless it begins with them."""
    own = {turn["role"]: turn for turn in text[: number_before_the_user(text)]}
    added = [turn for turn in before if turn["role"] not in own]
    for turn in before:
        other = own.get(turn["role"], turn)
        if str(other["content"]).strip() != str(turn["content"]).strip():
            raise UserError(
                f"{place}: the conversation has a turn of the system, and the column of the system "
                "says something else; leave it out (ignore_columns)."
            )
    return [*added, *text]


def _opening(
    texts: Sequence[Text], prompt: Text | None, columns: PromptColumns, place: str
) -> Text | None:
    if not prompt:
        return None
    ends = [opening_of(text, prompt) for text in texts]
    if None not in ends:
        return texts[0][: ends[0]]
    if columns.prompt != ("prompt",):  # such as 'messages' that repeat what was chosen
        columns.check_within(prompt, texts, place)
        return None
    raise UserError(
        f"{place}: the responses are conversations from the user's turn on, and the prompt is not "
        "how they begin; leave the column 'prompt' out (ignore_columns)."
    )


def _turn_by_turn(
    row: Mapping[str, Any], responses: Sequence[Any], columns: PromptColumns, place: str
) -> tuple[list[Text], Text | None, bool]:
    """Of lists of what was asked and of what each side answered, as conversations."""
    asked = columns.value(row, columns.prompt[0], place) if columns.prompt else None
    sides: list[Any] = [asked, *responses]
    if not all(
        isinstance(said, list) and isinstance(asked, list) and len(said) == len(asked)
        for said in sides
    ) or not all(turn is None or isinstance(turn, str) for said in sides for turn in said):
        raise UserError(
            f"{place}: a response is a list of texts, turn by turn; then the prompt and all "
            "responses must be lists of as many texts (of several alternatives, make a row of each "
            "pair; RewardBench 2 and RM-Bench are for `hidden-context benchmark`)."
        )
    for index, said in enumerate(sides):
        for number, turn in enumerate(said, start=1):
            where = f"{place}, turn {number} of {f'response {index}' if index else 'the prompt'}"
            if turn is None:
                raise UserError(
                    f"{where} is null: whether nothing was said or the text is lost is unknown; "
                    'write "" where nothing was said, or leave the row out.'
                )
            check_unicode(turn, where)
    before = columns.before(row, place)
    opened: Any = [[*before, *interleaved(sides[0], answered)] for answered in responses]
    texts: list[Text] = opened
    return texts, texts[0][: len(before) + 1], False

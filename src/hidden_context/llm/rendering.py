"""How a text becomes what a model reads: as it is, or by the tokenizer's chat template."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np
from jinja2 import TemplateError

from hidden_context.comparisons.texts import BESIDE_CONTENT, TOOLS, check_unicode
from hidden_context.errors import UserError

Render: TypeAlias = Literal["chat", "plain"]
"""How a plain prompt and a plain response are read: as two turns, or one after the other."""
TEMPLATE_DATE = date(2024, 7, 26)
"""What day it is for chat templates that ask: the same each day, so that scores are."""
STRFTIME = [f"%{code}" for code in ("-d", "-m", "-j", *"aAwdbBmyYHIpMSfjUWcxXGuVFDT")]
"""What a template may ask of a day."""
MOST_UNKNOWN = 0.05
"""Share of unknown tokens from which on it is said."""
SHOWN = 400
"""Characters of a text at either end that are shown."""


def default_render(tokenizer: Any) -> Render:
    """Two turns, if the tokenizer has a template for them."""
    return "chat" if getattr(tokenizer, "chat_template", None) else "plain"


def rendered(tokenizer: Any, text: Any, place: str) -> str:
    """A text as it is tokenised; a conversation by the chat template, on `TEMPLATE_DATE`.

    Raises:
        UserError: There is no template, it refuses the conversation or does not show a part, or
            the text has half of a character.
    """
    if isinstance(text, str):
        return check_unicode(text, place)
    if not tokenizer.chat_template:
        raise UserError(
            f"the data are conversations, but the tokenizer of {tokenizer.name_or_path} has no "
            "chat template; give a chat model, or plain texts."
        )
    tools = [tool for turn in text if turn["role"] == TOOLS for tool in turn[TOOLS]]
    turns = [dict(turn) for turn in text if turn["role"] != TOOLS]
    shown = _by_template(tokenizer, turns, tools, place)
    for part in BESIDE_CONTENT:
        without = [{name: turn[name] for name in turn if name != part} for turn in turns]
        if without != turns and shown == _by_template(tokenizer, without, tools, place):
            raise UserError(f"{place}: {_does_not_show(tokenizer, part)}")
    if tools and shown == _by_template(tokenizer, turns, [], place):
        raise UserError(f"{place}: {_does_not_show(tokenizer, 'tools')}")
    return shown


def _does_not_show(tokenizer: Any, what: str) -> str:
    return (
        f"the chat template of {tokenizer.name_or_path} does not show {what}, so the model would "
        "not see them; leave the row or the column out."
    )


def _by_template(
    tokenizer: Any, turns: Sequence[Mapping[str, Any]], tools: Sequence[Any], place: str
) -> str:
    try:
        template = tokenizer.get_chat_template(tools=list(tools) or None)
        text = tokenizer.apply_chat_template(
            turns,
            tools=list(tools) or None,
            chat_template=on_day(template, date_of(tokenizer)),
            tokenize=False,
        )
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{place}: the chat template of {tokenizer.name_or_path} refuses the conversation "
            f"({', '.join(str(turn['role']) for turn in turns)}): {reason}"
        ) from error
    return check_unicode(text, place)


def on_day(template: str, day: date) -> str:
    """A template for which it is always that day.

    The function that it asks cannot be replaced, but a macro of its name goes before it.
    """
    if "strftime_now" not in template:
        return template
    says = "".join(f" | replace('{code}', '{day.strftime(code)}')" for code in STRFTIME)
    macro = "{%- macro strftime_now(format) -%}{{ format" + says + " }}{%- endmacro -%}"
    return macro + template


def date_of(tokenizer: Any) -> date:
    """What day it is for its template: that of the checkpoint's record, or `TEMPLATE_DATE`."""
    return getattr(tokenizer, "template_date", TEMPLATE_DATE)


def unknown_line(tokenizer: Any, texts: Iterable[np.ndarray]) -> str:
    """How many of the tokens of some texts the tokenizer does not know; nothing if hardly any."""
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.bos_token_id):
        return ""  # as in GPT-2, which knows every byte
    tokens = np.concatenate(list(texts))
    share = float((tokens == unknown).mean())
    if share < MOST_UNKNOWN:
        return ""
    return (
        f"{100 * share:.0f} % of the tokens looked at are unknown to the tokenizer "
        f"({tokenizer.unk_token}): the model cannot read these words. Give a model of their "
        "language."
    )


def example_line(tokenizer: Any, token_ids: Iterable[int]) -> str:
    """A text as the model reads it, special tokens and all, on one line."""
    text = tokenizer.decode(list(token_ids))
    if len(text) > 2 * SHOWN:
        text = f"{text[:SHOWN]} [... {len(text) - 2 * SHOWN} characters ...] {text[-SHOWN:]}"
    return f"the first example, as the model reads it: {text!r}"

"""Which columns say what was asked, and how they are read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hidden_context.comparisons.survey import is_missing
from hidden_context.comparisons.texts import TOOLS, Text, as_turns, parsed, read_text
from hidden_context.errors import UserError

SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
PROMPT_COLUMNS = (
    "prompt",
    "prompt_text",
    "user_prompt",
    "user_message",
    "user_query",
    "context",
    "question",
    "instruction",
    "query",
    "input",
    "history",
    "conversations",
    "conversation",
    "messages",
)
"""Where a prompt may be; the first that is there is read, and the others must repeat it."""
PROMPT_ID = "prompt_id"
"""Where audit and people read which comparisons are of one prompt, in its place."""
WITH_INPUT = ("instruction", "input")
"""Read as one text, the input on a line of its own."""


@dataclass(frozen=True)
class PromptColumns:
    """Columns of a data set that say what was asked."""

    prompt: tuple[str, ...] = ()
    """None, one of `PROMPT_COLUMNS`, or `WITH_INPUT`."""
    system: str | None = None
    tools: bool = False
    repeated: tuple[str, ...] = ()
    """Further ones of `PROMPT_COLUMNS`, which must not say more."""
    serialized: frozenset[str] = frozenset()
    """Those in which lists are written as text."""

    @property
    def read_columns(self) -> tuple[str, ...]:
        """All that are read, the prompt first."""
        system = (self.system,) if self.system else ()
        return (*self.prompt, *system, *((TOOLS,) if self.tools else ()))

    def before(self, row: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
        """Turns before the user's: the system's text, and the functions that may be called."""
        turns: list[Mapping[str, Any]] = []
        if self.tools and row.get(TOOLS):
            tools = row[TOOLS]
            if isinstance(tools, str):
                tools = parsed(tools, f"{place}, column 'tools'")
            if not isinstance(tools, Sequence) or isinstance(tools, str):
                raise UserError(f"{place}, column 'tools': expected a list of functions.")
            if tools:
                turns.append({"role": TOOLS, "content": "", TOOLS: list(tools)})
        if self.system and row.get(self.system):
            text = row[self.system]
            if not isinstance(text, str):
                raise UserError(f"{place}, column {self.system!r}: expected text.")
            turns.append({"role": "system", "content": text})
        return turns

    def value(self, row: Mapping[str, Any], column: str, place: str) -> Any:
        """What a cell holds, parsed if lists are written as text."""
        value = row.get(column)
        if column in self.serialized and isinstance(value, str) and value.strip():
            return parsed(value, f"{place}, column {column!r}")
        return value

    def text(self, row: Mapping[str, Any], place: str) -> Text | None:
        """The prompt without what is before it; None where a row has none.

        Raises:
            UserError: It is neither text nor a conversation.
        """
        parts = [self.value(row, column, place) for column in self.prompt]
        texts = [
            read_text(part, f"{place}, column {column!r}")
            for column, part in zip(self.prompt, parts, strict=True)
            if not is_missing(part) and part != "" and part != []
        ]
        if not texts:
            return None
        if len(texts) > 1:
            if not all(isinstance(text, str) for text in texts):
                raise UserError(f"{place}: 'instruction' and 'input' are not both text.")
            return "\n".join(map(str, texts))
        return texts[0]

    def check_repeated(
        self, row: Mapping[str, Any], said: Sequence[Text | None], place: str
    ) -> None:
        """Refuse a column that may be the prompt too, and says what is nowhere else.

        `said` are the prompt and the responses of the row.
        """
        for column in self.repeated:
            value = self.value(row, column, place)
            if is_missing(value) or value in ("", []):
                continue
            try:
                text = value if isinstance(value, str) else read_text(value, place)
            except UserError as error:
                raise UserError(
                    f"{place}: column {column!r} may be a prompt beside {'/'.join(self.prompt)}, "
                    f"and is neither text nor messages ({type(value).__name__} {str(value)[:40]!r})"
                    "; put both into 'prompt', or leave it out (ignore_columns)."
                ) from error
            if not _is_within(text, said):
                named = "/".join(self.prompt) or "chosen"
                raise UserError(
                    f"{place}: column {column!r} may be a prompt, and {named} does not repeat it; "
                    "put both into 'prompt', or leave one out (ignore_columns)."
                )

    def check_within(self, prompt: Text, texts: Sequence[Text], place: str) -> None:
        """Refuse a prompt of which the whole conversations do not hold every turn."""
        if not _is_within(prompt, texts):
            raise UserError(
                f"{place}: the responses are conversations from the user's turn on, and "
                f"{'/'.join(self.prompt)} says what is not in them; leave it out (ignore_columns)."
            )


def prompt_columns(
    present: Collection[str], serialized: Collection[str], source: str
) -> PromptColumns:
    """Those among the columns that hold anything.

    Raises:
        UserError: Two columns may be the system's text.
    """
    systems = [name for name in SYSTEM_COLUMNS if name in present]
    if len(systems) > 1:
        raise UserError(
            f"{source}: {' and '.join(systems)} may both be the system's text; leave one out "
            "(ignore_columns)."
        )
    candidates = [name for name in PROMPT_COLUMNS if name in present]
    prompt = tuple(candidates[:1])
    if "prompt" not in prompt and set(WITH_INPUT) <= set(candidates):
        prompt = WITH_INPUT
    return PromptColumns(
        prompt=prompt,
        system=systems[0] if systems else None,
        tools=TOOLS in present,
        repeated=tuple(name for name in candidates if name not in prompt),
        serialized=frozenset(serialized),
    )


def _is_within(text: Text, said: Sequence[Text | None]) -> bool:
    """Whether all that a text says is somewhere in other texts."""
    contents = [
        str(turn["content"]) for one in said if one is not None for turn in as_turns(one, "user")
    ]
    known = "\n".join(contents)
    return all(str(turn["content"]).strip() in known for turn in as_turns(text, "user"))

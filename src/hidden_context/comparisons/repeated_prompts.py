"""Whether plain responses hold their prompt already, seen in all rows before it is put there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hidden_context.comparisons.survey import WORDS_OF_A_TEXT
from hidden_context.errors import UserError

NEAR = 40
"""Characters before a prompt that is repeated, as `Question: `."""


@dataclass
class RepeatedPrompts:
    """In how many rows which responses repeat the prompt."""

    num_rows: int = 0
    """With a plain prompt."""
    num_whole: int = 0
    """Of these, all responses begin with it."""
    first_other: int = 0
    """The first of the others, from 1."""
    num_turned: int = 0
    """With a prompt that has turns."""
    turned: list[int] = field(default_factory=list)
    """Numbers of these rows in which all responses begin with what was asked last."""
    num_long: int = 0
    """With a prompt of several words."""
    num_within: int = 0
    """Of these, all responses hold it, at most `NEAR` characters after their beginning."""
    begun: list[int] = field(default_factory=list)
    """Numbers of the rows with a plain prompt in which a response begins with it."""
    held: list[int] = field(default_factory=list)
    """Of others, in which all responses hold it so."""

    def add(self, responses: Sequence[str], prompt: str, number: int, *, has_turns: bool) -> None:
        """The plain responses of a row, and its prompt or the last turn of it."""
        begun = [response.startswith(prompt) for response in responses]
        if has_turns:
            self.num_turned += 1
            is_begun = all(begun)
            self.turned += [number] * is_begun
        else:
            self.num_rows += 1
            self.num_whole += all(begun)
            self.first_other = self.first_other or number * (not all(begun))
            is_begun = any(begun)
            self.begun += [number] * is_begun
        words = prompt.split()
        if len(words) >= WORDS_OF_A_TEXT:
            self.num_long += 1
            holds = all(begun) or all(
                _holds(response, " ".join(words), 2 * len(prompt) + NEAR) for response in responses
            )
            self.num_within += holds
            self.held += [number] * (holds and not is_begun)

    def puts_before(self, columns: Sequence[str], source: str) -> bool:
        """Whether the prompt is to be put before the responses.

        Raises:
            UserError: They repeat it in some rows, or otherwise than it is written.
        """
        named = " and ".join(columns)
        if 2 * len(self.begun) > self.num_rows > self.num_whole:
            num_partly = len(self.begun) - self.num_whole
            only = f" and only some of them in {num_partly}" if num_partly else ""
            raise UserError(
                f"{source}: {named} begin with the prompt in {self.num_whole} rows{only} but not "
                f"in all (first: row {self.first_other}); make them whole texts, or responses "
                "without the prompt."
            )
        if 2 * len(self.turned) > self.num_turned:
            raise UserError(
                f"{source}: {named} begin with the prompt, which has turns of its own; give the "
                "responses without the prompt."
            )
        if self.num_rows != self.num_whole or not self.num_rows:
            self.check_within(named, source)
        return 0 < self.num_rows != self.num_whole

    def check_within(self, named: str, source: str) -> None:
        """Refuse responses of which most hold their prompt, which is to be put before them."""
        if 2 * self.num_within > self.num_long:
            raise UserError(
                f"{source}: {named} hold the prompt in {self.num_within} rows, so it would be read "
                "twice; give the responses without it, or leave the prompt out."
            )

    def sentences(self) -> list[str]:
        """What is to be known where the prompt is put before the responses."""
        begun = self.turned if self.num_rows == self.num_whole else [*self.begun, *self.turned]
        said = {"a response begins with": begun, "the responses hold": self.held}
        return [
            f"{len(rows)} rows in which {what} the prompt, which is put before it all the same "
            f"(first: row {min(rows)})"
            for what, rows in said.items()
            if rows
        ]


def _holds(response: str, prompt: str, reach: int) -> bool:
    return 0 <= " ".join(response[:reach].split()).find(prompt) <= NEAR

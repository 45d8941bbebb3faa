"""Whether plain responses hold their prompt already, seen in all rows before it is put there."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    num_begun: int = 0
    """Of these others, some response begins with it."""
    first_begun: int = 0
    num_turned: int = 0
    """With a prompt that has turns."""
    num_turned_repeated: int = 0
    """Of these, all responses begin with what was asked last."""
    num_long: int = 0
    """With a prompt of several words."""
    num_within: int = 0
    """Of these, all responses hold it, at most `NEAR` characters after their beginning."""

    def add(self, responses: Sequence[str], prompt: str, number: int, *, has_turns: bool) -> None:
        """The plain responses of a row, and its prompt or the last turn of it."""
        begun = [response.startswith(prompt) for response in responses]
        if has_turns:
            self.num_turned += 1
            self.num_turned_repeated += all(begun)
        else:
            self.num_rows += 1
            self.num_whole += all(begun)
            if not all(begun):
                self.first_other = self.first_other or number
                self.num_begun += any(begun)
                self.first_begun = self.first_begun or any(begun) * number
        words = prompt.split()
        if len(words) >= WORDS_OF_A_TEXT:
            self.num_long += 1
            self.num_within += all(begun) or all(
                _holds(response, " ".join(words), 2 * len(prompt) + NEAR) for response in responses
            )

    def puts_before(self, columns: Sequence[str], source: str) -> bool:
        """Whether the prompt is to be put before the responses.

        Raises:
            UserError: They repeat it in some rows, or otherwise than it is written.
        """
        named = " and ".join(columns)
        some = self.num_whole + self.num_begun
        if 2 * some > self.num_rows > self.num_whole:
            only = f" and only some of them in {self.num_begun}" if self.num_begun else ""
            raise UserError(
                f"{source}: {named} begin with the prompt in {self.num_whole} rows{only} but not "
                f"in all (first: row {self.first_other}); make them whole texts, or responses "
                "without the prompt."
            )
        if 2 * self.num_turned_repeated > self.num_turned:
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
        if not self.num_begun:
            return []
        return [
            f"{self.num_begun} rows in which a response begins with the prompt, which is put "
            f"before it all the same (first: row {self.first_begun})"
        ]


def _holds(response: str, prompt: str, reach: int) -> bool:
    return 0 <= " ".join(response[:reach].split()).find(prompt) <= NEAR

"""What a command fetches from the Hugging Face hub, said before anything else is done."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hidden_context.commands.printing import say
from hidden_context.errors import UserError
from hidden_context.misspelt import nearest_path

if TYPE_CHECKING:
    from hidden_context.hub import Kind

FIELDS: "dict[str, Kind]" = {
    "data": "datasets",
    "data_path": "datasets",
    "eval_data_path": "datasets",
    "model_name": "models",
    "checkpoint": "models",
    "reward_model_checkpoint": "models",
    "reward_model_checkpoints": "models",
}
"""Settings of commands that may be names on the hub."""
POSITIONAL = ("data", "checkpoint")
IN_WORDS = {"datasets": "data", "models": "model"}
WITHOUT_NETWORK = "or try hidden-context demo, which makes its data and needs no network."


@dataclass(frozen=True)
class Fetched:
    """A name that is nothing on this machine."""

    name: str
    kind: "Kind"
    flag: str
    """Setting that gives it."""
    is_default: bool

    def __str__(self) -> str:
        from hidden_context.hub import endpoint, is_cached

        where = f"fetched from {endpoint()}"
        if is_cached(self.kind, self.name):
            where = f"from the cache of {endpoint()} on this machine"
        own = f"; none was given: give {self.how}" if self.is_default else ""
        return f"{IN_WORDS[self.kind]}: {self.name}, {where}{own}"

    @property
    def how(self) -> str:
        """To give something of one's own."""
        if self.kind == "datasets":
            own, flag = "a file of your own (csv, jsonl, parquet", f"--{self.flag} FILE"
        else:
            own, flag = "a folder of your own (a model", f"--{self.flag} FOLDER"
        return f"{own})" if self.flag in POSITIONAL else f"{own}: {flag})"


def say_what_is_fetched(config: Any) -> None:
    """Say each name of a configuration that is of the hub, and where it comes from.

    Raises:
        UserError: One is not in the cache, and the hub cannot be reached.
    """
    wanted = sorted(_fetched(config), key=lambda each: each.kind)
    if not wanted:
        return
    from hidden_context.hub import is_cached, not_at_hand, why_unreachable

    for each in wanted:
        say(each)
    reason = why_unreachable()
    lacking = [each for each in wanted if not is_cached(each.kind, each.name)]
    if reason is not None and lacking:
        own = " and ".join(dict.fromkeys(each.how for each in lacking))
        names = [each.name for each in lacking]
        meant = "".join(map(nearest_path, names))
        raise UserError(f"{not_at_hand(names, reason)}; give {own}, {WITHOUT_NETWORK}{meant}")


def _fetched(config: Any) -> Iterator[Fetched]:
    for field in dataclasses.fields(config):
        if field.name not in FIELDS or (field.name == "data_path" and _has_others(config)):
            continue
        given = getattr(config, field.name)
        names = given if isinstance(given, tuple) else (given,)
        for name in names:
            if isinstance(name, str) and _may_be_on_hub(name, field.name):
                yield Fetched(name, FIELDS[field.name], field.name, given == field.default)


def _has_others(config: Any) -> bool:
    """Whether `datasets` are read in place of `data_path`."""
    return bool(getattr(config, "datasets", None))


def _may_be_on_hub(name: str, flag: str) -> bool:
    """As those who read it decide: `owner/name`, or of a backbone one word."""
    from hidden_context.hub import is_hub_name

    return not Path(name).exists() and (
        is_hub_name(name) or (flag == "model_name" and "/" not in name)
    )

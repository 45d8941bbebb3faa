"""New labels for preference data, by a language model that judges."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hidden_context.commands.command_line import command
from hidden_context.commands.fetched import say_what_is_fetched
from hidden_context.commands.outputs import writes
from hidden_context.commands.printing import say, say_again, say_next, show, shows_progress
from hidden_context.errors import UserError

if TYPE_CHECKING:
    from hidden_context.comparisons.comparisons import Comparisons


@dataclass(frozen=True, kw_only=True)
class Config:
    """New labels for preference data, by a language model that judges (DPL paper, appendix C).

    The key is read from the environment, and goes to the endpoint and nowhere else. Every answer is
    kept when it comes: after Ctrl-C, a kill or the end of the budget the same command goes on, and
    asks nothing twice.
    """

    prints_numbers: ClassVar[bool] = True
    data_path: str
    """Hub name, folder or file of comparisons of two responses."""
    out: Path = field(metadata=writes("a folder"))
    """Folder that receives helpful, harmless and both, in the published layout, and judge."""
    judge: str
    """Model that judges, as its endpoint calls it."""
    base_url: str | None = None
    """Address of the endpoint, such as http://127.0.0.1:8000/v1; if not given, OpenAI's, or that in
    OPENAI_BASE_URL."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; none if the endpoint wants none."""
    objective: Literal["mixed", "both", "helpful", "harmless"] = "mixed"
    """By what pairs are judged: mixed is one of the two, drawn for each pair, as published; both is
    each pair by both."""
    votes: int = 1
    """Verdicts on each pair by each objective; several are written as votes."""
    split: str = "train"
    """Of a hub name or folder, or a slice of it, as in train[:1000]; files are called by it."""
    data_subset: Literal["both", "helpful", "harmless"] = "both"
    """Comparisons that were judged by this objective before."""
    size: int = 0
    """How many comparisons, split evenly over objectives; 0 for all."""
    dataset_config: str | None = None
    """Configuration of a data set on the hub, where it has several."""
    ignore_columns: tuple[str, ...] = ()
    """Columns not to read, whatever they say."""
    seed: int = 0
    """Of the order in which responses are shown, and of mixed."""
    temperature: float | None = None
    """Of the judge; if not given, the endpoint's own."""
    max_answer_tokens: int = 64
    """Longest answer in tokens; a judge that thinks before it answers needs thousands."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the endpoint calls that limit."""
    extra_body: str = "{}"
    """Further fields of each request, as JSON, such as '{"reasoning_effort": "low"}'."""
    timeout: float = 120.0
    """Seconds for one answer."""
    concurrency: int = 8
    """Requests under way at once."""
    requests_per_minute: float | None = None
    """Requests begun within a minute, evenly spaced; no limit if not given."""
    retries: int = 6
    """How often a request is sent again that failed in a way that may pass."""
    longest_wait: float = 600.0
    """Seconds that the endpoint may ask to wait; if it asks for more, the command ends."""
    budget_requests: int | None = None
    """Requests after which to stop, failed ones with them; each run has as much again."""
    budget_tokens: int | None = None
    """Tokens of questions and answers not to exceed."""
    budget_cost: float | None = None
    """Cost not to exceed, in the currency of the prices."""
    prompt_price: float | None = None
    """Of a million tokens of questions."""
    answer_price: float | None = None
    """Of a million tokens of answers."""
    ask_again: bool = False
    """Ask once more what was answered without a verdict."""
    dry_run: bool = False
    """Show the first question, and how many there are; send and write nothing."""


def run(config: Config) -> int:
    """Plan, print, ask, write, print; 1 if the budget was not enough, else 0."""
    from hidden_context.comparisons.comparisons import load_comparisons
    from hidden_context.records import parse_value
    from hidden_context.relabelling.asking import Asking
    from hidden_context.relabelling.budget import Budget
    from hidden_context.relabelling.judge import Judge
    from hidden_context.relabelling.relabel import plan_relabelling, relabel

    extra_body = parse_value(config.extra_body, "--extra_body")
    if not isinstance(extra_body, dict):
        raise UserError(f"--extra_body is {config.extra_body}; expected a JSON object.")
    judge = Judge(
        model=config.judge, extra_body=extra_body, **_of(config, Judge, without="extra_body")
    )
    asking = Asking(**_of(config, Asking))
    limits = {name: getattr(config, f"budget_{name}") for name in ("requests", "tokens", "cost")}
    prices = {"prompt_price": config.prompt_price, "answer_price": config.answer_price}
    budget = Budget(**limits, **prices)
    say_what_is_fetched(config)
    comparisons: Comparisons = load_comparisons(
        config.data_path,
        split=config.split,
        subset=config.data_subset,
        size=config.size,
        dataset_config=config.dataset_config,
        ignore_columns=config.ignore_columns,
    )
    say(f"{comparisons.account}\n")
    how: dict[str, Any] = {
        name: getattr(config, name) for name in ("objective", "votes", "seed", "ask_again")
    }
    if config.dry_run:
        plan = plan_relabelling(comparisons, config.out, judge, **how)
        first = [question.body["messages"][0]["content"] for question in plan.to_ask[:1]]
        show(
            lambda: {**plan.to_dict(), "first_question": next(iter(first), None)},
            lambda: "\n\n".join([str(plan), *first]),
        )
        say_again(without="dry_run")
        return 0
    result = relabel(
        comparisons,
        config.out,
        judge,
        split=config.split,
        budget=budget,
        asking=asking,
        announce=say,
        progress=shows_progress(),
        **how,
    )
    show(result.to_dict, lambda: result)
    for file in result.files:
        print(f"wrote {file}")
    if result.stopped_by is not None:
        print(f"the budget was reached, {result.stopped_by}; the same command goes on")
        say_again()
    elif result.files:
        say_next("audit {}", config.out)
    return 0 if result.is_complete else 1


def _of(config: Config, kind: type, *, without: str = "") -> dict[str, Any]:
    """The settings that a dataclass and the flags have in common."""
    names = [each.name for each in fields(kind) if each.name != without]
    return {name: getattr(config, name) for name in names if hasattr(config, name)}


main = command("relabel", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())

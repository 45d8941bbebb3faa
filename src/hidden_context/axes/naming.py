"""Names of axes by a language model, which is shown their exemplars."""

from dataclasses import replace

from hidden_context.axes.axes import Axes, Axis
from hidden_context.errors import UserError
from hidden_context.relabelling.endpoint import Endpoint, NotNowError
from hidden_context.relabelling.judge import Judge

LONGEST_TEXT = 600
"""Characters of a response that the model is shown."""
LONGEST_NAME = 60
QUESTION = """Some people prefer response A of each pair below, others response B. A has more of
the feature “{name}” ({more}), B has less ({less}). In at most six words, name what divides these
people. Answer with the name alone.

{pairs}"""


def name_axes(found: Axes, judge: Judge) -> Axes:
    """The same axes, each `called` as the model says; what was found is not changed.

    Exemplars, which are texts of the data, are sent to the endpoint.

    Raises:
        UserError: The endpoint cannot be asked, or gives no name.
    """
    endpoint = Endpoint(judge)
    try:
        return replace(found, axes=tuple(_named(axis, endpoint) for axis in found.axes))
    finally:
        endpoint.close()


def question_about(axis: Axis) -> str:
    """What the model is asked."""
    pairs = "\n\n".join(
        f"Pair {number}\nA: {each.more[:LONGEST_TEXT]}\nB: {each.less[:LONGEST_TEXT]}"
        for number, each in enumerate(axis.exemplars, 1)
    )
    return QUESTION.format(name=axis.name, more=axis.more, less=axis.less, pairs=pairs)


def _named(axis: Axis, endpoint: Endpoint) -> Axis:
    try:
        answer = endpoint.ask(endpoint.judge.request(question_about(axis)))
    except NotNowError as error:
        raise UserError(f"{endpoint.address} gave no name: {error}; try again later.") from error
    lines = (answer.text or "").strip().splitlines()
    if not lines:
        why = answer.error or answer.refusal or answer.finish_reason or "an empty answer"
        raise UserError(f"{endpoint.address} gave no name for {axis.name!r}: {why}.")
    return replace(axis, called=lines[0].strip(" \"'“”.*")[:LONGEST_NAME])

"""What was found, in sentences."""

from collections.abc import Iterator

from hidden_context.axes.axes import AVERAGE, Axes, Axis

MANY = 10
"""Contexts from here on are told as shares; fewer by their names."""
LEFT_OUT = {
    "ties": "ties",
    "equal_texts": "pairs of equal texts",
    "without_context": "pairs without a context",
}


def sentences_of(found: Axes) -> tuple[tuple[str, str], ...]:
    """Questions and answers: what was found, each axis, how it was tested, what was left out."""
    return tuple(_sentences(found))


def _sentences(found: Axes) -> Iterator[tuple[str, str]]:
    who = f"{found.counts['contexts']} {found.contexts_name}"
    tested = found.counts["features"]
    rest = "" if found.stopped_p is None else f" The next did not pass (p = {found.stopped_p:.3f})."
    if found.axes:
        names = "; ".join(axis.called or axis.name for axis in found.axes)
        answer = f"Of {tested} features, {len(found.axes)}: {names}.{rest}"
    else:
        nearest = "" if found.stopped_p is None else f" The nearest has p = {found.stopped_p:.3f}."
        answer = (
            f"In none of the {tested} features tested.{nearest} That is no proof that they do not "
            "differ: there may be too few votes, or no feature for it."
        )
    yield f"What do {who} differ in?", answer
    for number, axis in enumerate(found.axes, 1):
        yield f"Axis {number}: {_title(axis)}", _axis(axis, found.contexts_name)
    yield (
        "How was it tested?",
        f"Who judged what was redrawn {found.config['num_permutations']} times, among "
        f"{found.shuffled}. By chance some axis is found in at most "
        f"{100 * found.config['level']:.3g} % of data without any.",
    )
    left_out = [
        f"{found.counts[name]} {what}" for name, what in LEFT_OUT.items() if found.counts[name]
    ]
    yield (
        "What was read?",
        f"{found.counts['decided']} decided comparisons of {found.counts['rows']} rows; left out: "
        f"{', '.join(left_out) or 'none'}. {found.counts['features_left_out']} features tell too "
        "few responses apart, or too much like another, and were not tested."
        + "".join(f" {note[0].upper()}{note[1:]}." for note in found.notes),
    )


def _title(axis: Axis) -> str:
    return f"{axis.called} ({axis.name})" if axis.called else axis.name


def _axis(axis: Axis, contexts: str) -> str:
    if axis.name == AVERAGE:
        text = (
            f"Not all follow the average as closely: its weight is {axis.average:.2f} on average, "
            f"with a standard deviation of {axis.spread:.2f} over {contexts}. Some may be "
            "careless, or have other tastes, which no feature here names"
        )
    elif len(axis.effects) >= MANY:
        text = (
            f"“{axis.more}” adds log odds of {axis.average:+.2f} on average, with a standard "
            f"deviation of {axis.spread:.2f} over {contexts}: {100 * axis.share_for:.0f} % "
            f"prefer it, {100 * (1 - axis.share_for):.0f} % “{axis.less}”; of "
            f"{len(axis.sure('above'))} and {len(axis.sure('below'))} single ones the "
            "votes suffice to say so"
        )
    else:
        in_order = sorted(axis.effects.items(), key=lambda of_name: -of_name[1].value)
        each = ", ".join(f"{name} {effect.signed(2)}" for name, effect in in_order)
        text = f"“{axis.more}” adds log odds of {each}; below 0, “{axis.less}” is preferred"
    text += f" (p = {axis.p:.3f})."
    if axis.along:
        along = ", ".join(f"{name} ({value:+.2f})" for name, value in axis.along.items())
        text += f" These go along with it, and may be what counts: {along}."
    return text

"""A slice of `make fuzz`: what was mended stays so, and the harness sees what it looks for."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run as fuzz
from inputs import Input, copied
from mutations import damaged_arguments, damaged_bytes, damaged_value

KINDS_IN_THE_SLICE = ("data file", "score file", "record", "settings", "command line")
SLICE = 50


def test_damaged_inputs_end_with_status_0_or_with_one_line():
    failures, counts = fuzz.run_cases(range(SLICE))
    assert not failures, fuzz.summary(failures, counts, 0)
    assert counts.total() == SLICE
    assert set(KINDS_IN_THE_SLICE) <= set(counts)


def test_whole_inputs_are_read():
    """Damage is not tried on what would be refused anyway."""
    with fuzz.whole_inputs() as (root, inputs):
        for one in {(one.folder, one.arguments): one for one in inputs}.values():
            case = root / "case"
            shutil.rmtree(case, ignore_errors=True)
            if one.arguments[0] == "report" and not str(one.file).startswith("audit"):
                continue  # of one folder, once
            if one.folder is None:
                case.mkdir()
            else:
                copied(root, one, case, lambda data: data)
            arguments = [argument.replace("{}", str(case)) for argument in one.arguments]
            what, said = fuzz.outcome(one, arguments, case)
            assert what is None, said
            assert "error: " not in said, (arguments, said)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("raise ValueError", "ValueError in "),
        ("print('error: one'); print('error: two'); return 2", "2 lines of errors"),
        ("return 2", "0 lines of errors"),
        ("return 1", "status 1"),
        ("print('error: refused'); write('out'); return 2", "has refused to write"),
        ("write('.out.1234'); return 0", "leaves a temporary file"),
        ("sleep(9)", "takes over 1 s"),
        ("return 0", None),
        ("print('warning: odd'); print('error: refused'); return 2", None),
    ],
)
def test_the_harness_sees_how_a_command_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, found: str | None
):
    monkeypatch.setattr(fuzz, "LONGEST", 1)
    body = "\n    ".join(command.split("; "))
    scope: dict[str, Any] = {
        "sleep": fuzz.time.sleep,
        "print": lambda text: print(text, file=sys.stderr),
        "write": lambda name: (tmp_path / name).write_text("half"),
    }
    exec(f"def main(arguments):\n    {body}", scope)
    monkeypatch.setattr(fuzz, "command_main", scope["main"])
    what, _ = fuzz.outcome(Input("any", None, None, ("any",), "out"), ["any"], tmp_path)
    assert what == found if found is None else found in str(what)


def test_damage_is_that_of_its_seed():
    value, data = {"a": [1, "two", None], "b": {"c": 0.5}}, b'{"a": 1}\n{"a": 2}\n'
    kinds: Any = (
        (damaged_value, value),
        (damaged_bytes, data),
        (damaged_arguments, ["--a=1", "b"]),
    )
    for damage, whole in kinds:
        once, again = (
            [repr(damage(whole, np.random.default_rng(seed))) for seed in range(50)]
            for _ in range(2)
        )
        assert once == again
        assert len(set(once)) > 25
    assert value == {"a": [1, "two", None], "b": {"c": 0.5}}

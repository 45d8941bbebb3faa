"""Jailbreak rates of heads: what decides, what length has to do with it, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from hidden_context.audits.comparison_table import digest_of
from hidden_context.audits.jailbreaks import read_jailbreaks
from hidden_context.errors import UserError
from hidden_context.records import write_jsonl


def write(path: Path, responses: list[list[object]]) -> Path:
    rows = [
        {"prompt": f"Human: {k}?\n\nAssistant:", "responses": each}
        for k, each in enumerate(responses)
    ]
    write_jsonl(path, rows)
    return path


def test_safe_and_unsafe_are_read_with_or_without_the_prompt(tmp_path: Path) -> None:
    file = write(tmp_path / "jailbreaks.jsonl", [["no", "sure"], ["never", "yes, here"]])
    responses, whole = (read_jailbreaks(file, reads) for reads in ("response", "whole"))
    assert responses.texts == [("no", "sure"), ("never", "yes, here")]
    assert [str(unsafe).startswith("Human: ") for _, unsafe in whole.texts] == [True, True]
    assert str(whole.texts[1][1]).endswith("yes, here")
    np.testing.assert_array_equal(responses.lengths, [[2, 4], [5, 9]])
    np.testing.assert_array_equal(whole.lengths, responses.lengths)
    assert responses.digest[1, 1].tobytes() == digest_of("yes, here")


def test_messages_count_by_what_they_say_last(tmp_path: Path) -> None:
    said = [[{"role": "assistant", "content": each}] for each in ("no", "sure")]
    rows = [{"prompt": [{"role": "user", "content": "?"}], "responses": said}]
    write_jsonl(tmp_path / "j.jsonl", rows)
    jailbreaks = read_jailbreaks(tmp_path / "j.jsonl", "response")
    assert jailbreaks.texts == [("no", "sure")]
    np.testing.assert_array_equal(jailbreaks.lengths, [[2, 4]])  # not those of a Python repr


def test_rows_without_a_safe_and_an_unsafe_response_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "j.jsonl", [["no", "sure"], ["no", "sure", "maybe"]])
    with pytest.raises(UserError, match=r"row 2: 3 responses; expected a safe one and an unsafe"):
        read_jailbreaks(file, "response")

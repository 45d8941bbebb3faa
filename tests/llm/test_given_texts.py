"""Prompts and responses that a program gives, as the texts that a model reads."""

from typing import Any

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.llm.given_texts import whole_texts

USER = {"role": "user", "content": "bread?"}
REPLY = {"role": "assistant", "content": "yes"}


def read(prompts: Any, responses: Any = None) -> Any:
    rows, several = whole_texts(prompts, responses, vocabulary=100)
    plain = [[text.tolist() if hasattr(text, "tolist") else text for text in row] for row in rows]
    return plain, several


@pytest.mark.parametrize(
    ("prompts", "responses", "rows", "several"),
    [
        (["a", "b"], None, [["a"], ["b"]], False),
        ([[USER, REPLY]], None, [[[USER, REPLY]]], False),
        ([[5, 6], np.array([7])], None, [[[5, 6]], [[7]]], False),
        (["a", "b"], ["c", "d"], [["ac"], ["bd"]], False),
        (["a", "b"], [["c"], ["d"]], [["ac"], ["bd"]], True),
        (["a"], [["c", "d", "e"]], [["ac", "ad", "ae"]], True),
        ([[USER]], [[REPLY]], [[[USER, REPLY]]], False),
        ([[USER]], ["yes"], [[[USER, REPLY]]], False),
        ([[USER]], [[[REPLY], "yes"]], [[[USER, REPLY], [USER, REPLY]]], True),
        ([[5]], [[6, 7]], [[[5, 6, 7]]], False),
        ([[5]], [[[6], [7, 8]]], [[[5, 6], [5, 7, 8]]], True),
        (np.array([[5, 6]]), np.array([[7, 8]]), [[[5, 6, 7, 8]]], False),
    ],
)
def test_a_prompt_goes_before_each_of_its_responses(
    prompts: Any, responses: Any, rows: Any, several: bool
):
    assert read(prompts, responses) == (rows, several)


@pytest.mark.parametrize(
    ("prompts", "responses", "message"),
    [
        ("a", None, "prompts: found one str; give a list"),
        ([USER], None, "prompts: found one text; give a list of texts"),
        ([5, 6], None, "prompts: found one text; give a list of texts"),
        ([], None, "prompts: there are none"),
        (["a"], "b", "responses: found one str"),
        (["a"], [[]], "responses to prompt 1: there are none"),
        (["a", "b"], ["c"], "2 prompts but 1 responses"),
        (["a", "b"], [["c", "d"], ["e"]], "prompt 2 has 1 responses, but prompt 1 has 2"),
        (["a", "b"], [["c"], "d"], "prompt 2 has one response, but prompt 1 a list of them"),
        (["a", "b"], ["c", ["d"]], "prompt 2 has a list of them, but prompt 1 one response"),
        (["a"], [[5, 6]], "prompt 1: prompt and response are both token ids, or neither"),
        ([[5, 100]], None, "prompt 1: token ids are whole numbers from 0 to 99"),
        ([[5]], [[[6], [-1]]], "prompt 1, response 2: token ids are whole numbers"),
        ([None], None, "prompt 1: expected text or a list of messages"),
        (["Q", "R"], ["A", None], "prompt 2: the response is None; give a text"),
        (["Q"], [None], "prompt 1: the response is None; give a text"),
    ],
)
def test_what_is_no_text_is_refused_by_its_place(prompts: Any, responses: Any, message: str):
    with pytest.raises(UserError, match=message):
        read(prompts, responses)

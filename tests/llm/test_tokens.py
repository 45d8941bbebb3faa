"""Texts to token ids."""

import numpy as np
import pytest
from tiny_models import make_tokenizer

from hidden_context.errors import UserError
from hidden_context.llm.tokens import tokenize

TEMPLATE = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
LONG = "Human: please bake bread. " * 9


def test_texts_are_tokenised_as_by_the_tokenizer_itself():
    tokenizer = make_tokenizer(encoder=True)
    texts = ["Human: bread?", LONG, "ünï 👍"]
    tokenized = tokenize(tokenizer, texts, max_length=1000, overlong="error")
    for text, ids in zip(texts, tokenized.token_ids, strict=True):
        assert ids.tolist() == tokenizer(text)["input_ids"]
    assert not tokenized.overlong.any()


def test_truncation_keeps_special_tokens_and_the_response():
    tokenizer = make_tokenizer(encoder=True)
    full = tokenizer(LONG)["input_ids"]
    (ids,) = tokenize(tokenizer, [LONG], max_length=12, overlong="truncate_left").token_ids
    assert ids.tolist() == [full[0], *full[-11:]]
    assert tokenizer.truncation_side == "right"


def test_dropped_texts_are_empty_and_counted():
    tokenized = tokenize(make_tokenizer(), [LONG, "bread"], max_length=12, overlong="drop")
    assert [len(ids) > 0 for ids in tokenized.token_ids] == [False, True]
    assert tokenized.overlong.tolist() == [True, False]


def test_an_overlong_text_may_be_refused_by_number():
    with pytest.raises(UserError, match=r"row 2 has \d+ tokens, more than max_length 12"):
        tokenize(make_tokenizer(), ["bread", LONG], max_length=12, overlong="error")


def test_conversations_go_through_the_chat_template_once():
    tokenizer = make_tokenizer(encoder=True)
    tokenizer.chat_template = TEMPLATE
    turns = [{"role": "user", "content": "bread?"}, {"role": "assistant", "content": "yes"}]
    (ids,) = tokenize(tokenizer, [turns], max_length=99, overlong="error").token_ids
    assert tokenizer.decode(ids) == "<s>user: bread?</s><s>assistant: yes</s>"


def test_conversations_without_a_template_are_refused():
    with pytest.raises(UserError, match="no chat template"):
        tokenize(
            make_tokenizer(), [[{"role": "user", "content": "A"}]], max_length=9, overlong="error"
        )


def test_an_empty_text_is_refused_by_number():
    with pytest.raises(UserError, match="row 2 is empty"):
        tokenize(make_tokenizer(), ["A", ""], max_length=9, overlong="error")


def test_many_texts_pass_but_no_half_of_a_character():
    texts = [f"text {number} \u2603" for number in range(1500)]
    tokenized = tokenize(make_tokenizer(), texts, max_length=99, overlong="error")
    assert len(tokenized.token_ids) == 1500
    assert tokenized.token_ids[1499].dtype == np.int32
    with pytest.raises(UserError, match=r"row 2: character 3 is half of one"):
        tokenize(make_tokenizer(), ["A", "A \ud800"], max_length=9, overlong="error")


def test_token_ids_stay_as_they_are_or_lose_their_beginning():
    ids = [[5, 6, 7], np.arange(9)]
    tokenized = tokenize(make_tokenizer(encoder=True), ids, max_length=4, overlong="truncate_left")
    assert [text.tolist() for text in tokenized.token_ids] == [[5, 6, 7], [5, 6, 7, 8]]
    assert tokenized.overlong.tolist() == [False, True]


def test_texts_of_several_kinds_are_refused():
    with pytest.raises(UserError, match="plain texts and token ids are mixed; give one of them"):
        tokenize(make_tokenizer(), ["A", [5, 6]], max_length=9, overlong="error")

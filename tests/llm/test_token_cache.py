"""Token ids are computed once, and again when anything that they depend on changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_models import make_tokenizer

from hidden_context.errors import UserError
from hidden_context.llm import token_cache
from hidden_context.llm.token_cache import name_of, tokenize_once
from hidden_context.llm.tokens import Overlong, TokenizedTexts

TEXTS = ["bread", "mix flour, water, salt and yeast", "salt"]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts tokenisations; the cache is a new folder."""
    counted: list[int] = []
    iterate = token_cache.iterate_tokenized

    def counting(*args: Any, **kwargs: Any) -> Iterator[tuple[np.ndarray, bool]]:
        counted.append(1)
        return iterate(*args, **kwargs)

    monkeypatch.setattr(token_cache, "iterate_tokenized", counting)
    monkeypatch.setattr(token_cache, "cache_folder", lambda: tmp_path / "cache")
    return counted


def ids(texts: list[str], max_length: int = 5, overlong: Overlong = "drop") -> TokenizedTexts:
    return tokenize_once(
        make_tokenizer(), texts, max_length=max_length, overlong=overlong, place=str
    )


def test_the_second_time_they_are_read(calls: list[int]):
    first, second = ids(TEXTS), ids(TEXTS)
    assert len(calls) == 1
    assert first.overlong.tolist() == second.overlong.tolist() == [False, True, False]
    for one, other in zip(first.token_ids, second.token_ids, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype == np.int32


def test_the_file_is_safetensors_and_is_mapped_rather_than_held(tmp_path: Path, calls: list[int]):
    tokenized = ids(TEXTS)
    (file,) = (tmp_path / "cache").iterdir()
    arrays = load_file(file)
    assert arrays["overlong"].tolist() == [False, True, False]
    np.testing.assert_array_equal(arrays["token_ids"], np.concatenate(tokenized.token_ids))
    assert arrays["ends"].tolist() == np.cumsum([len(one) for one in tokenized.token_ids]).tolist()
    for one in tokenized.token_ids:
        whole: Any = one.base
        assert isinstance(whole.base, np.memmap)
        assert not one.flags.writeable
    save_file(arrays, file)  # as they were written before: in another order
    for one, other in zip(ids(TEXTS).token_ids, tokenized.token_ids, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(calls) == 1


def test_texts_that_are_all_dropped_have_no_ids(calls: list[int]):
    for _ in range(2):
        assert [len(one) for one in ids(TEXTS, max_length=1).token_ids] == [0, 0, 0]
    assert len(calls) == 1


def test_nothing_is_kept_of_texts_that_are_refused(tmp_path: Path, calls: list[int]):
    with pytest.raises(UserError, match="tokens, more than max_length 5"):
        ids(TEXTS, overlong="error")
    assert list((tmp_path / "cache").iterdir()) == []


def test_whatever_changes_them_is_noticed(calls: list[int]):
    ids(TEXTS)
    ids(TEXTS, max_length=6)
    ids(TEXTS, overlong="truncate_left")
    ids([*TEXTS[:2], "sal", "t"])
    assert len(calls) == 4
    tokenizer = make_tokenizer()
    names = {name_of(tokenizer, TEXTS, {})}
    tokenizer(TEXTS, truncation=True, max_length=3)
    names.add(name_of(tokenizer, TEXTS, {}))  # what a call leaves behind does not matter
    assert len(names) == 1
    tokenizer.chat_template = "{{ messages }}"
    names.add(name_of(tokenizer, TEXTS, {}))
    tokenizer.add_tokens(["bread"])
    names.add(name_of(tokenizer, TEXTS, {}))
    names.add(name_of(tokenizer, [[{"role": "user", "content": "bread"}]], {}))
    assert len(names) == 4


def test_a_cache_that_cannot_be_written_is_warned_of_and_not_needed(
    tmp_path: Path, calls: list[int]
):
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.warns(UserWarning, match="token ids are not kept for the next run"):
        assert len(ids(TEXTS).token_ids) == 3


@pytest.mark.parametrize("stored", [False, True])
def test_what_is_saved_of_a_tokenizer_does_not_depend_on_the_cache(calls: list[int], stored: bool):
    """Each call sets the truncation and padding that `tokenizer.json` holds."""
    tokenizer = make_tokenizer()
    if stored:  # as some files come
        tokenizer.backend_tokenizer.enable_truncation(128, stride=2, direction="left")
        tokenizer.backend_tokenizer.enable_padding(length=128, pad_id=3, pad_token="<unk>")
    before = tokenizer.backend_tokenizer.to_str()
    for _ in range(2):
        tokenize_once(tokenizer, TEXTS, max_length=5, overlong="truncate_left", place=str)
        assert tokenizer.backend_tokenizer.to_str() == before
    assert len(calls) == 1

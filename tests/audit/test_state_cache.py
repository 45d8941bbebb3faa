import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hidden_context.audits.comparison_table import Reads, digest_of
from hidden_context.audits.hashed_words import HashedWords
from hidden_context.audits.state_cache import StateCache
from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError

TEXTS = [f"text number {number}" for number in range(1200)]


class Counting:
    """Three numbers of each text, and how many texts were read."""

    name: str = "counting"
    description: str = "for tests"
    reads: Reads = "whole"
    width: int = 3
    fingerprint: str = "abc"

    def __init__(self, fail_after: int = 10**9) -> None:
        self.num_read = 0
        self.fail_after = fail_after

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        self.num_read += len(texts)
        if self.num_read > self.fail_after:
            raise KeyboardInterrupt
        return np.array([[len(text), hash_of(text), 1.0] for text in texts], np.float32)


def hash_of(text: Text) -> float:
    return float(sum(map(ord, str(text))))


def pairs(texts):
    return [(digest_of(text), text) for text in texts]


def filled(folder: Path, texts=TEXTS) -> tuple[StateCache, Counting]:
    counting = Counting()
    cache = StateCache(folder, counting)
    cache.add(pairs(texts), total=len(texts))
    return cache, counting


def check(cache: StateCache, texts=TEXTS) -> None:
    rows = cache.rows_of(np.frombuffer(b"".join(map(digest_of, texts)), "V16"))
    assert (rows >= 0).all()
    np.testing.assert_array_equal(cache.states[rows][:, 1], [hash_of(text) for text in texts])


def test_no_text_is_read_twice(tmp_path):
    cache, counting = filled(tmp_path, [*TEXTS[:100], *TEXTS[:100]])
    assert counting.num_read == 100
    check(cache, TEXTS[:100])
    again, counting = filled(tmp_path, TEXTS[50:150])
    assert counting.num_read == 50
    check(again, TEXTS[:150])


def test_an_interrupted_run_loses_at_most_a_chunk(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        StateCache(tmp_path, Counting(fail_after=600)).add(pairs(TEXTS), total=1200)
    cache, counting = filled(tmp_path)
    assert counting.num_read == 1200 - 512
    check(cache)


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("abc-*/*.states"), key=lambda path: path.stat().st_size)


def test_what_a_kill_leaves_half_written_is_not_read(tmp_path):
    filled(tmp_path, TEXTS[:600])
    whole = files_of(tmp_path)[0]
    whole.with_name(f".{whole.name}.1234").write_bytes(whole.read_bytes()[:100])
    cache, counting = filled(tmp_path)
    assert counting.num_read == 600
    check(cache)


@pytest.mark.parametrize("place", [3, -3])  # in a digest, in a state
def test_damage_is_found_told_and_mended(tmp_path, place):
    filled(tmp_path)
    path = files_of(tmp_path)[-1]
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=f"{path.name} damaged"):
        cache, counting = filled(tmp_path)
    assert counting.num_read == 512
    check(cache)


def test_a_truncated_file_is_mended(tmp_path):
    filled(tmp_path)
    os.truncate(files_of(tmp_path)[-1], 1000)
    with pytest.warns(UserWarning, match="damaged"):
        check(filled(tmp_path)[0])


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        StateCache(tmp_path / "file", Counting())


def test_a_folder_that_cannot_be_written_serves_what_it_has(tmp_path, monkeypatch):
    filled(tmp_path, TEXTS[:100])

    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    cache = StateCache(tmp_path, Counting())
    assert cache.add(pairs(TEXTS[:100]), total=100) == 0
    with pytest.raises(UserError, match=r"cannot be written to \(Permission denied\)"):
        cache.add(pairs(TEXTS), total=1200)


def test_another_version_of_a_model_has_its_own_folder(tmp_path):
    filled(tmp_path, TEXTS[:10])
    other = Counting()
    other.fingerprint = "def"
    StateCache(tmp_path, other).add(pairs(TEXTS[:10]), total=10)
    assert other.num_read == 10


def test_hashed_words_are_finite_and_see_words_alone():
    words = HashedWords()
    first, second, odd = words.states(["a good answer", "good answer a", "\ud800 \x00 🙂 answer"])
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(odd).all()
    # "answer" alone: one count in one place, log 2
    assert np.abs(words.states(["answer"])).sum() == pytest.approx(np.log(2))


def test_what_another_process_adds_meanwhile_stays(tmp_path):
    """Both were open before either wrote."""
    one, other = StateCache(tmp_path, Counting()), StateCache(tmp_path, Counting())
    other.add(pairs(TEXTS[:700]), total=700)
    one.add(pairs(TEXTS[900:1000]), total=100)
    other.add(pairs(TEXTS[:1200]), total=1200)
    again = StateCache(tmp_path, Counting())
    for cache in (other, again):
        check(cache)
    check(one, TEXTS[900:1000])
    check(one, TEXTS[:700])


def test_states_that_are_mapped_stay_what_they_were_while_others_add(tmp_path):
    one, _ = filled(tmp_path, TEXTS[:600])
    states = one.states
    every = np.arange(600)
    before = states[every]
    StateCache(tmp_path, Counting()).add(pairs(TEXTS), total=1200)
    np.testing.assert_array_equal(states[every], before)


def test_two_processes_at_once_lose_nothing(tmp_path):
    one = StateCache(tmp_path, Counting())

    def texts():
        yield from pairs(TEXTS[:600])
        filled(tmp_path, TEXTS[500:700])
        yield from pairs(TEXTS[600:])

    one.add(texts(), total=1200)
    check(one)
    check(StateCache(tmp_path, Counting()))


def test_an_error_of_reading_texts_is_not_taken_for_one_of_the_disk(tmp_path):
    class Broken(Counting):
        def states(self, texts):
            raise OSError(5, "the model's file")

    with pytest.raises(OSError, match="the model's file"):
        StateCache(tmp_path, Broken()).add(pairs(TEXTS), total=1200)

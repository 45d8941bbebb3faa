"""Damage to values, bytes and command lines, each drawn from a generator."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, 10**400, -(10**30), 0.5, 1e-320, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "a", "nan", "\x00", "\ud83d", "\ufeff", "\u202e", "x" * 20_000, "1", "tie"),
    *([], {}, [[]], [None], [1, "a"], {"": None}, {"role": "user"}, [{"role": 1, "content": []}]),
)
"""Of every JSON type; no value is changed after it was taken from here."""
DEEP = "[" * 100_000
ODD_ARGUMENTS = (
    *("", " ", "--", "-", "-1", "nan", "inf", "1e400", "99999999999999999999", "0", "true"),
    *("--no_such_flag", "--no_such_flag=1", ".", "..", "/", "nothing/at/all", "\x00", "\ud83d"),
    *("x" * 5000, "a=b", "=", "!!python/object:x", "{", "[1]", "-h=", "--=", "mean:", "quantile:2"),
)


def pick(rng: np.random.Generator, values: Any) -> Any:
    """One of a sequence."""
    return values[int(rng.integers(len(values)))]


def damaged_value(value: Any, rng: np.random.Generator) -> Any:
    """A JSON value with one to three places of it changed."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        value = _changed(value, rng)
    return value


def _changed(value: Any, rng: np.random.Generator) -> Any:
    """The value, or something in it, changed; further down with probability 3/4."""
    if isinstance(value, dict) and value and rng.random() < 0.75:
        key = pick(rng, list(value))
        return _changed_key(value, key, rng)
    if isinstance(value, list) and value and rng.random() < 0.75:
        index = int(rng.integers(len(value)))
        change = rng.random()
        if change < 0.15:
            return value[:index] + value[index + 1 :]
        if change < 0.3:
            return value[:index] + [value[index]] * 2 + value[index + 1 :]
        return [*value[:index], _changed(value[index], rng), *value[index + 1 :]]
    if isinstance(value, str) and rng.random() < 0.4:
        return value[: int(rng.integers(len(value) + 1))] + str(pick(rng, ("", "\ud83d", "\x00")))
    if isinstance(value, int | float) and rng.random() < 0.3:
        return pick(rng, (-value, value * 10**30, str(value), [value]))
    return copy.deepcopy(pick(rng, ODD_VALUES))


def _changed_key(value: dict[str, Any], key: str, rng: np.random.Generator) -> dict[str, Any]:
    change = rng.random()
    if change < 0.15:
        return {name: part for name, part in value.items() if name != key}
    if change < 0.25:
        return {(f"{name}_" if name == key else name): part for name, part in value.items()}
    if change < 0.3:
        return {**value, str(pick(rng, ("", "votes_a", "ranking", "\ud83d"))): value[key]}
    return {**value, key: _changed(value[key], rng)}


def dumped(value: Any) -> bytes:
    """JSON in ASCII, in which NaN, infinities and lone surrogates are written as Python does."""
    return json.dumps(value).encode()


def damaged_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes cut off, changed, put in, taken out or said twice."""
    at = int(rng.integers(len(data) + 1))
    until = min(len(data), at + int(rng.integers(1, 30)))
    noise = rng.integers(0, 256, int(rng.integers(1, 9)), dtype=np.uint8).tobytes()
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: data[:at],
        lambda: data[at:],
        lambda: data[:at] + noise + data[at + len(noise) :],
        lambda: data[:at] + noise + data[at:],
        lambda: data[:at] + data[until:],
        lambda: data[:until] + data[at:],
        lambda: (
            data[:at]
            + pick(rng, (b"\x00", b"\xff", b"NaN", b"1e999", b'"', b"}", b"\n"))
            + data[at:]
        ),
        lambda: pick(rng, (b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"PK\x03\x04")) + data,
        lambda: pick(rng, (b"", b"\n", b"{}", b"[]", b"null", b"0", DEEP.encode())),
        lambda: data[: data.rfind(b"\n", 0, at) + 1],  # cut at a line's end
        lambda: data * 2,
        lambda: _said_twice(data, rng),
        lambda: data.replace(b"\n", pick(rng, (b"\r", b"", b"\n\n", b"\r\n"))),
    )
    return pick(rng, changes)()


def _said_twice(data: bytes, rng: np.random.Generator) -> bytes:
    """A key of JSON, or a line of YAML, said twice."""
    found = list(
        re.finditer(rb'"[^"\n]+": (?:"[^"\n]*"|[\d.]+)(?=, )|^\w+:.*\n', data, re.MULTILINE)
    )
    if not found:
        return data
    one = pick(rng, found)
    between = b"" if one[0].endswith(b"\n") else b", "
    return data[: one.end()] + between + one[0] + data[one.end() :]


def damaged_arguments(arguments: list[str], rng: np.random.Generator) -> list[str]:
    """A command line with one to three flags or values dropped, doubled, cut or replaced."""
    arguments = list(arguments)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(arguments) + 1))
        change = rng.random()
        if change < 0.25 or at == len(arguments):
            arguments.insert(at, str(pick(rng, ODD_ARGUMENTS)))
        elif change < 0.4:
            del arguments[at]
        elif change < 0.5:
            arguments.insert(at, arguments[at])
        elif change < 0.8 and "=" in arguments[at]:
            arguments[at] = f"{arguments[at].partition('=')[0]}={pick(rng, ODD_ARGUMENTS)}"
        elif change < 0.9:
            arguments[at] = arguments[at][: int(rng.integers(len(arguments[at]) + 1))]
        else:
            arguments[at] = str(pick(rng, ODD_ARGUMENTS))
    return arguments

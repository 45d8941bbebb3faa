"""Which share a process has, as flags, launchers and Slurm say it."""

import re

import pytest

from hidden_context.errors import UserError
from hidden_context.shards import Shard


def array(task: int, first: int, last: int, step: int = 1, **more: str) -> dict[str, str]:
    """The variables of a task of `--array=first-last:step`."""
    count = len(range(first, last + 1, step))
    values = {"ID": task, "MIN": first, "MAX": last, "STEP": step, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()} | more


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_chunk_is_of_one_share(count: int):
    shards = [Shard(index, count) for index in range(count)]
    for chunk in range(20):
        assert sum(shard.has(chunk) for shard in shards) == 1
    sizes = [sum(shard.has(chunk) for chunk in range(20)) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Shard()),
        ({"WORLD_SIZE": "1", "RANK": "0"}, Shard()),
        ({"WORLD_SIZE": "3", "RANK": "2"}, Shard(2, 3, waits=True)),
        (array(0, 0, 3), Shard(0, 4)),
        (array(4, 1, 4), Shard(3, 4)),
        (array(8, 0, 12, 4), Shard(2, 4)),
        (array(5, 5, 5), Shard()),
        ({"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}, Shard(1, 2)),
        (array(1, 0, 2, WORLD_SIZE="2", RANK="1"), Shard(3, 6)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, Shard()),  # also of a batch script's one
    ],
)
def test_launchers_and_arrays_are_read(environ: dict[str, str], expected: Shard):
    assert Shard.from_environment(environ=environ) == expected


def test_the_processes_of_an_array_of_launchers_are_all_different():
    environs = [
        array(task, 1, 3, WORLD_SIZE="2", RANK=str(rank)) for task in (1, 2, 3) for rank in (0, 1)
    ]
    shards = [Shard.from_environment(environ=environ) for environ in environs]
    assert sorted(shard.index for shard in shards) == [*range(6)]
    assert {shard.count for shard in shards} == {6}


def test_a_share_that_is_given_takes_the_place_of_the_array():
    """Of a launcher's processes each still has its own."""
    environ = array(2, 0, 3)
    assert Shard.from_environment(Shard(0, 1), environ=environ) == Shard()
    environ |= {"WORLD_SIZE": "2", "RANK": "1"}
    assert Shard.from_environment(Shard(0, 1), environ=environ) == Shard(1, 2, waits=True)
    assert Shard.from_environment(Shard(1, 3), environ=environ) == Shard(3, 6)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but there is no RANK"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2, but WORLD_SIZE is 2"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE is 'two'; expected a whole number"),
        ({**array(3, 1, 8), "SLURM_ARRAY_TASK_COUNT": "3"}, "do not follow each other"),
        ({**array(0, 0, 3), "SLURM_ARRAY_TASK_ID": "7"}, "task 7 of a Slurm array of 4"),
        ({"SLURM_ARRAY_TASK_COUNT": "2"}, "not clear which share"),
    ],
)
def test_what_contradicts_itself_is_refused(environ: dict[str, str], message: str):
    with pytest.raises(UserError, match=re.escape(message)):
        Shard.from_environment(environ=environ)


def test_a_share_is_written_as_people_count():
    assert Shard.parse("2/8") == Shard(1, 8)
    assert str(Shard.parse(" 1/1 ")) == "shard 1 of 1"
    for text in ("0/2", "3/2", "0/0"):
        with pytest.raises(UserError, match=f"shard '{text}': there are 1/"):
            Shard.parse(text)
    for text in ("2", "a/b", "1/2/3", "-1/2", "²/3", "1 / 2"):
        with pytest.raises(UserError, match=r"is not of the form i/n, such as 2/8"):
            Shard.parse(text)
    with pytest.raises(UserError, match="shard 3 of 2 cannot be"):
        Shard(2, 2)

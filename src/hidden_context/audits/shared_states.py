"""States of texts that several processes read for one audit, each its share."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from hidden_context.audits.comparison_table import texts_of
from hidden_context.audits.jailbreaks import Jailbreaks
from hidden_context.audits.state_cache import StateCache
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.texts import Text
from hidden_context.shards import Shard, UnmergedError
from hidden_context.shards.chunk_files import ChunkFiles
from hidden_context.shards.signs_of_life import SignsOfLife

READ, OVERLONG = "texts_read_now", "overlong_texts_read_now"
"""Counts of a set that say what was read for this audit."""


def read_shared(
    sets: Mapping[str, Comparisons],
    jailbreaks: Jailbreaks | None,
    cache: StateCache,
    shard: Shard,
    *,
    progress: bool,
) -> dict[str, dict[str, int]]:
    """Read this share of the texts that are not in the cache, and have the others read theirs.

    A file for each process says that its share is done, and what it read.

    Returns:
        What all processes together read, by set.

    Raises:
        UserError: A text cannot be read, or another process has died.
        UnmergedError: The share of this process is done, and another one goes on with the audit.
    """
    header = {
        "representation": cache.representation.fingerprint,
        "texts": _digest(sets, jailbreaks, cache),
        "shards": shard.count,
    }
    folder = cache.folder / f"{header['texts']}-{shard.count}.shards"
    files = ChunkFiles(folder, header, num_chunks=shard.count)
    with SignsOfLife(folder, files.run, shard) as signs:
        is_shown = progress and shard.merges  # several bars would overwrite each other
        counts = _read(sets, jailbreaks, cache, shard, progress=is_shown)
        if shard.index in files.missing():  # else it was done before, in a run that then ended
            files.write(shard.index, [counts])
        if shard.waits and shard.merges:
            signs.wait_while(files.missing)
    missing = files.missing()
    if missing or not shard.merges:
        raise UnmergedError(
            f"{shard} is done; {len(missing)} of {shard.count} are not yet, and whoever is last "
            "goes on with the audit"
        )
    return _sum_of(files, shard, folder)


def _sum_of(files: ChunkFiles, shard: Shard, folder: Path) -> dict[str, dict[str, int]]:
    try:
        of_all = [files.read(index, num_lines=1)[0] for index in range(shard.count)]
    except FileNotFoundError as error:
        raise UnmergedError(f"{shard} is done; another process goes on with the audit") from error
    shutil.rmtree(folder, ignore_errors=True)  # another process may do so too
    return {
        name: {count: sum(of_one[name][count] for of_one in of_all) for count in (READ, OVERLONG)}
        for name in of_all[0]
    }


def _read(
    sets: Mapping[str, Comparisons],
    jailbreaks: Jailbreaks | None,
    cache: StateCache,
    shard: Shard,
    *,
    progress: bool,
) -> dict[str, dict[str, int]]:
    """The share of one process, in the order in which `prepare` reads."""
    representation, counts = cache.representation, {}
    for number, (name, comparisons) in enumerate(sets.items()):
        before = getattr(representation, "num_overlong", 0)
        texts = texts_of(comparisons, representation.reads)
        total = 2 * len(comparisons)
        num_read = cache.add(texts, total=total, shard=shard, progress=progress)
        overlong = getattr(representation, "num_overlong", 0) - before
        counts[name] = {READ: num_read, OVERLONG: overlong}
        if jailbreaks is not None and not number:
            given = jailbreaks.with_digests
            cache.add(given, total=len(given), shard=shard, progress=progress)
    return counts


def _digest(
    sets: Mapping[str, Comparisons], jailbreaks: Jailbreaks | None, cache: StateCache
) -> str:
    """Of all texts by set, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for name, texts in _all_texts(sets, jailbreaks, cache):
        digest.update(f"{name}\n".encode(errors="surrogatepass"))
        for of_text, _ in texts:
            digest.update(of_text)
    return digest.hexdigest()


def _all_texts(
    sets: Mapping[str, Comparisons], jailbreaks: Jailbreaks | None, cache: StateCache
) -> Iterator[tuple[str, Iterator[tuple[bytes, Text]]]]:
    for name, comparisons in sets.items():
        yield name, texts_of(comparisons, cache.representation.reads)
    if jailbreaks is not None:
        yield "jailbreaks", iter(jailbreaks.with_digests)

"""A day's text to its shards: parsed, encoded and written by threads that work side by side.

One thread unpacks, one parses, one encodes, one packs and writes, and one seals what is written: so two cores are busy,
and the disk beside them.
"""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.dictionary import Dictionary, Tokens, encode_columns
from distdnas_hpc.data.prefetch import prefetch
from distdnas_hpc.data.rejected import RejectedRows
from distdnas_hpc.data.resume import ShardRecord
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import ShardInfo, create_shard, open_shard, seal
from distdnas_hpc.data.source import read_day
from distdnas_hpc.data.statistics import DenseStatistics
from distdnas_hpc.data.tsv import Block
from distdnas_hpc.progress import Progress

PARTS = 8
"""Parts in memory that are parsed, and that are encoded, a megabyte each: packing a chunk of rows takes as long as
encoding four of them."""


class Part(NamedTuple):
    """Rows of a block that go into the same shard.

    Attributes
    ----------
    shard : its number in the day, from 0.
    columns : with tokens in `sparse`, or with codes when encoded.
    block : the block, with its first part; None with a further one.
    last : no more rows go into the shard.
    new_tokens : by column, what is new in the shard, when it is the last part and encoded.
    hashed : by column, likewise, whether no more tokens are listed.
    """

    shard: int
    columns: Columns
    block: Block | None
    last: bool
    new_tokens: tuple[Tokens, ...] = ()
    hashed: tuple[bool, ...] = ()


def write_day(
    data: Data, day: int, record: ShardRecord, rejected: RejectedRows, progress: Progress, *, may_hash: bool
) -> tuple[dict[str, int], DenseStatistics]:
    """Write a day's shards and put them on record; gather its rejected rows.

    Shards that an earlier attempt finished are kept. Their text is unpacked and parsed again, for a gzip file can only
    be read from its beginning, which takes half of the processors' time.

    Parameters
    ----------
    may_hash : give up listing the tokens of a column that are more than its table has room for.

    Returns
    -------
    dict of rows, clicks, bytes and rejected; the dense statistics.
    """
    schema, folder = data.schema_, record.folder
    record.resume()
    kept = len(record.finished)
    encoder = _Encoder(data, kept, may_hash)
    encoder.resume([folder.parent / done.name for done in record.finished])
    rows = clicks = text_bytes = 0

    def note(part: Part) -> None:
        nonlocal rows, clicks, text_bytes
        rows += len(part.columns.label)
        clicks += int(part.columns.label.sum())
        if part.block is not None:
            text_bytes += part.block.text_bytes
            rejected.add(data.raw_file(day), part.block.rejected)
            progress.update(min(part.block.fraction, 0.999), rows=rows)

    def put_on_record(path: Path, rows: int) -> None:
        record.add(ShardInfo(f"{folder.name}/{path.name}", rows, seal(path)))

    with (
        ThreadPoolExecutor(1) as sealer,
        closing(prefetch(_cut(read_day(data, day), data.shard_rows), PARTS)) as cut,
        closing(prefetch((encoder.encode(part) for part in cut), PARTS)) as parts,
    ):
        sealed = []
        for number, of_shard in groupby(parts, key=lambda part: part.shard):
            if number < kept:
                for part in of_shard:
                    note(part)
                continue
            path = folder / f"shard_{number:04d}.h5"
            with create_shard(path, schema.dense, schema.sparse) as shard:
                for part in of_shard:
                    shard.append(part.columns)
                    note(part)
                shard.finish(schema.sparse_names, part.new_tokens, part.hashed)
            sealed.append(sealer.submit(put_on_record, path, shard.rows))
        for done in sealed:
            done.result()
    return {"rows": rows, "clicks": clicks, "bytes": text_bytes, "rejected": rejected.count}, encoder.statistics


def _cut(blocks: Iterable[Block], shard_rows: int) -> Generator[Part, None, None]:
    """Cut blocks where shards end."""
    held: Part | None = None  # whether it is the last one shows when the next one comes
    rows = 0
    for block in blocks:
        of_block: Block | None = block
        start, n = 0, len(block.rows.label)
        while start < n or of_block is not None:
            stop = min(start + shard_rows - rows % shard_rows, n)
            # No rows, for a block whose rows were all rejected, need no shard of their own.
            shard = (rows if start < stop else max(rows - 1, 0)) // shard_rows
            part = Part(shard, block.rows.part(start, stop), of_block, False)
            if held is not None:
                yield held._replace(last=held.shard != part.shard)
            held, of_block = part, None
            rows += stop - start
            start = stop
    if held is not None:
        yield held._replace(last=True)


class _Encoder:
    """Turns tokens into codes and gathers dense statistics, part after part.

    Parameters
    ----------
    kept : the first shards, whose rows need no codes any more.
    """

    def __init__(self, data: Data, kept: int, may_hash: bool) -> None:
        self._names = data.schema_.sparse_names
        self._kept = kept
        self._dictionaries = [Dictionary(data.max_rows if may_hash else None) for _ in self._names]
        self.statistics = DenseStatistics.of(np.empty((data.schema_.dense, 0), np.int32))

    def resume(self, shards: list[Path]) -> None:
        """Take over the tokens of the shards that are kept."""
        for path in shards:
            with open_shard(path) as shard:
                for name, dictionary in zip(self._names, self._dictionaries, strict=True):
                    dictionary.resume(shard.tokens(name), hashed=shard.hashed(name))

    def encode(self, part: Part) -> Part:
        self.statistics = self.statistics.merge(DenseStatistics.of(part.columns.dense))
        if part.shard < self._kept:
            return part
        tokens = part.columns.sparse
        codes = np.empty(tokens.shape, np.int32)
        encode_columns(self._dictionaries, tokens, codes)
        part = part._replace(columns=part.columns._replace(sparse=codes))
        if not part.last:
            return part
        return part._replace(
            new_tokens=tuple(dictionary.take_new() for dictionary in self._dictionaries),
            hashed=tuple(dictionary.hashed for dictionary in self._dictionaries),
        )

"""Shards to batches: one pass over a day, in file order or shuffled, in memory that does not depend on its length.

One thread reads and unpacks chunks, another makes batches of them, and the consumer finds some batches ready. Where
rows are shuffled, a thread between the two decodes chunks into a buffer while batches are picked from a second one.
"""

from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distdnas_hpc.data.decode import Decoder
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.data.prefetch import prefetch
from distdnas_hpc.data.shards import Shard, ShardInfo, open_shard
from distdnas_hpc.data.shuffle import Stretch, in_file_order, shuffled
from distdnas_hpc.data.translation import Translation
from distdnas_hpc.errors import UserError

BATCHES_ALIVE = 4
"""Batches that exist at a time, the consumer's included: 2 MB each of 8,192 Criteo rows."""


class Batch(NamedTuple):
    """Rows as a model takes them, in pinned memory where torch sees a GPU.

    Attributes
    ----------
    label : (B,) float32, 1 = click.
    dense : (B, dense) float32, f(x) standardised by the training days' statistics; 0, the mean, where missing.
    sparse : (B, sparse) int64 ids, 0 to the column's table size - 1.
    """

    label: Tensor
    dense: Tensor
    sparse: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device, without waiting for the copy where the device allows it."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


class Pair(NamedTuple):
    """What a step of the bilevel search takes (paper §IV-A, Algorithm 1): a batch of each of the day's two parts.

    Attributes
    ----------
    w : of the part that the weights w are trained on.
    architecture : of the part that A and B are trained on; no row of it is ever in the other.
    """

    w: Batch
    architecture: Batch


class Feed:
    """Batches of one prepared day; iterating again gives the same batches.

    Parameters
    ----------
    batch_size : rows of a batch, B; the last one may be shorter.
    shuffle_seed : None for file order. Else every row comes once, in an order decided by the seed: shards and their
        chunks of 16,384 rows are shuffled over the day, then rows among 64 chunks at a time, so a day of up to a
        million rows is permuted fully.

    Raises
    ------
    UserError : the day is not in the manifest; while iterating, a shard is missing, damaged, or not the one that was
        prepared.
    """

    def __init__(self, manifest: Manifest, day: int, batch_size: int, *, shuffle_seed: int | None = None) -> None:
        if day not in manifest.days:
            known = ", ".join(map(str, manifest.days))
            raise UserError(f"Day {day} is not prepared in {manifest.folder} (days there: {known}); prepare it first.")
        self.rows = manifest.days[day].rows
        self._folder = manifest.folder
        self._day = manifest.days[day]
        self._batch_size = batch_size
        self._seed = shuffle_seed
        self._columns = len(manifest.dense_columns), len(manifest.sparse_columns)
        self._mean = np.array(manifest.dense_mean)
        self._scale = 1 / np.array(manifest.dense_std)

    def __len__(self) -> int:
        """Return the number of batches of the whole day."""
        return -(-self.rows // self._batch_size)

    def __iter__(self) -> Generator[Batch, None, None]:
        return self.batches()

    def batches(self, first: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches from number `first` (0 to the length) on, bit for bit those of an uninterrupted pass.

        Nothing that comes before is read, but for the rest of its buffer.

        Background threads work ahead; they end with the last batch, or when the generator is closed or dropped.
        """
        if not 0 <= first <= len(self):
            raise ValueError(f"first batch {first} of a day of {len(self)}")
        return prefetch(self._make_batches(first), BATCHES_ALIVE)

    def pairs(self, first: int = 0) -> Generator[Pair, None, None]:
        """Yield the day in its two parts, a batch of each at a time, from pair number `first` on, as `batches` does.

        Of the day's batches every other one is of the part for w; a last one without a partner is left out. With a
        shuffle seed the parts are equally random samples of the day.
        """
        with closing(self.batches(2 * first)) as batches:
            for w, architecture in zip(batches, batches, strict=False):
                yield Pair(w, architecture)

    def _make_batches(self, first: int) -> Generator[Batch, None, None]:
        row = min(first * self._batch_size, self.rows)
        batch, filled = self._allocate(row), 0
        with closing(self._read(row)) as stretches:
            for stretch in stretches:
                taken = 0
                while taken < len(stretch):
                    n = min(len(stretch) - taken, len(batch.label) - filled)
                    stretch.write(taken, *(tensor[filled : filled + n].numpy() for tensor in batch))
                    taken += n
                    filled += n
                    if filled == len(batch.label):
                        yield batch
                        row += filled
                        batch, filled = self._allocate(row), 0

    def _allocate(self, row: int) -> Batch:
        """Make room for the batch that starts with a row."""
        size = min(self._batch_size, self.rows - row)
        dense, sparse = self._columns
        pin = torch.cuda.is_available()
        return Batch(
            label=torch.empty(size, pin_memory=pin),
            dense=torch.empty(size, dense, pin_memory=pin),
            sparse=torch.empty(size, sparse, dtype=torch.int64, pin_memory=pin),
        )

    def _read(self, first_row: int) -> Generator[Stretch, None, None]:
        with ExitStack() as stack:
            shards = [stack.enter_context(self._open(info)) for info in self._day.shards]
            translation = Translation.open(self._folder / self._day.ids.name, self._day.ids.codes)
            decoder = Decoder(translation, self._mean, self._scale)
            if self._seed is None:
                yield from in_file_order(shards, decoder, first_row)
            else:
                with closing(prefetch(shuffled(shards, decoder, self._seed, first_row), 2)) as buffers:
                    yield from buffers

    @contextmanager
    def _open(self, info: ShardInfo) -> Generator[Shard, None, None]:
        path = self._folder / info.name
        with open_shard(path) as shard:
            size = path.stat().st_size
            if info.bytes not in (None, size):  # looking at every byte takes as long as reading: prepare --verify
                raise UserError(
                    f"{path} has changed since it was prepared: it has {size:,} bytes, and had {info.bytes:,}; restore "
                    "it from a copy, or prepare the data again."
                )
            yield shard

"""Click probabilities for a file of raw rows, streamed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch

from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.source import read_file
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.serve.model_folder import ServedModel
from distdnas_hpc.storage import atomic_write


def predict_file(model: ServedModel, raw: Path, out: Path | None, progress: Progress) -> int:
    """Write the click probability of each row of a raw file, one a line in the rows' order; return how many.

    Batches and threads are those of the experiment's test, so that its probabilities come out bit for bit: how sums
    round depends on both. Numbers have as many digits as tell a double from all others.

    Parameters
    ----------
    raw : in the format of the experiment's data, with or without labels, which nobody looks at.
    out : a file, which appears when it is whole; None for the standard output.

    Raises
    ------
    UserError : the file can't be read, or has a faulty row.
    """
    torch.set_num_threads(model.config.cluster.threads)
    done = 0
    with _lines(out) as file:
        for fraction, rows in _batches(model, raw):
            file.write("".join(f"{probability!r}\n" for probability in model.predict(rows).tolist()))
            done += len(rows.label)
            progress.update(fraction, rows=done)
    return done


def _batches(model: ServedModel, raw: Path) -> Iterator[tuple[float, Columns]]:
    """Yield rows in batches of the test's size, the last one shorter, and the share of the file that is read."""
    size = model.config.train.batch_size
    held: list[Columns] = []
    count, fraction = 0, 0.0
    for block in read_file(model.config.data, raw):
        fraction = block.fraction
        held.append(block.rows)
        count += len(block.rows.label)
        if count >= size:
            rows = _together(held)
            whole = count - count % size
            for start in range(0, whole, size):
                yield fraction, rows.part(start, start + size)
            held, count = [rows.part(whole, count)], count - whole
    if count:
        yield fraction, _together(held)


def _together(parts: list[Columns]) -> Columns:
    return Columns(*(np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))


@contextmanager
def _lines(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    if not out.parent.is_dir():
        raise UserError(f"{out} can't be written: there is no folder {out.parent}; make it, or correct --out.")
    with atomic_write(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file

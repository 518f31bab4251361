"""What is in a prepared folder, and whether it still is what was written."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from distdnas_hpc.data.manifest import MANIFEST, Manifest
from distdnas_hpc.data.rows import MISSING
from distdnas_hpc.data.shards import file_sha256, open_shard
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import read_yaml


def describe(prepared: Path) -> dict[str, Any]:
    """Return days, columns and sizes of prepared data as plain values, fit for JSON.

    Returns
    -------
    dict with

    - folder, rows, clicks, click_rate, bytes (of the days' files), table_rows (of all embedding tables together),
      training_days (that ids and statistics come from);
    - days, a list of {day, rows, clicks, click_rate, shards (how many), bytes};
    - dense, a list of {name, count, missing_share, mean, std, minimum, maximum} of f(x) over the training days, the
      last two None in a column without values;
    - sparse, a list of {name, rows, hashed, dropped}: rows of the table, and distinct values that got no id.

    Raises
    ------
    UserError : no manifest or a damaged one; a shard is missing.
    """
    manifest = Manifest.load(prepared)
    content = read_yaml(prepared / MANIFEST)
    days = [
        {
            "day": number,
            "rows": day.rows,
            "clicks": day.clicks,
            "click_rate": day.clicks / day.rows,
            "shards": len(day.shards),
            "bytes": sum(_size(prepared / name) for name in day.files),
        }
        for number, day in manifest.days.items()
    ]
    rows, clicks, size = (sum(day[key] for day in days) for key in ("rows", "clicks", "bytes"))
    return {
        "folder": str(prepared),
        "rows": rows,
        "clicks": clicks,
        "click_rate": clicks / rows,
        "bytes": size,
        "table_rows": sum(manifest.table_sizes),
        "training_days": content["training_days"],
        "days": days,
        "dense": [{"name": name, **_finite(column)} for name, column in content["dense"].items()],
        "sparse": [{"name": name, **column} for name, column in content["sparse"].items()],
    }


def describe_shard(path: Path) -> dict[str, Any]:
    """Return what one shard of prepared data holds as plain values, fit for JSON; reads all of it.

    Returns
    -------
    dict with rows, clicks, click_rate, bytes; dense, a list of {name, missing, minimum, maximum} of the raw integers
    (None in a column without values); sparse, a list of {name, missing, distinct (codes in the shard), new (values that
    appear first in it), hashed}.

    Raises
    ------
    UserError : the shard or the manifest of its folder is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a shard, e.g. RUN/prepared/day_01/shard_0000.h5.")
    manifest = Manifest.load(path.absolute().parents[1])
    with open_shard(path) as shard:
        columns = shard.read(0, shard.rows)
        tokens = [(shard.token_count(name), shard.hashed(name)) for name in manifest.sparse_columns]
    clicks = int(columns.label.sum())
    dense = [
        {
            "name": name,
            "missing": int((values == MISSING).sum()),
            "minimum": int(present.min()) if len(present := values[values != MISSING]) else None,
            "maximum": int(present.max()) if len(present) else None,
        }
        for name, values in zip(manifest.dense_columns, columns.dense, strict=True)
    ]
    sparse = [
        {
            "name": name,
            "missing": int((codes == 0).sum()),
            "distinct": len(np.unique(codes[codes != 0])),
            "new": new,
            "hashed": hashed,
        }
        for name, codes, (new, hashed) in zip(manifest.sparse_columns, columns.sparse, tokens, strict=True)
    ]
    rows = len(columns.label)
    told = {"rows": rows, "clicks": clicks, "click_rate": clicks / rows if rows else None, "bytes": _size(path)}
    return {"file": str(path), **told, "dense": dense, "sparse": sparse}


def verify_days(prepared: Path, progress: Progress) -> None:
    """Read every file of every day again and compare it with its checksum.

    Raises
    ------
    UserError : names all files that are missing or are not what was written.
    """
    manifest = Manifest.load(prepared)
    files = {name: sha256 for day in manifest.days.values() for name, sha256 in day.files.items()}
    sizes = {name: _size(prepared / name) if (prepared / name).is_file() else 0 for name in files}
    done = 0
    faults = []
    for name, sha256 in files.items():
        path = prepared / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif file_sha256(path) != sha256:
            faults.append(f"{name} has changed")
        done += sizes[name]
        progress.update(done / max(sum(sizes.values()), 1))
    if faults:
        raise UserError(
            f"{prepared}: {len(faults)} of {len(files)} files are damaged ({', '.join(faults)}); "
            "restore them from a copy, or prepare the data again."
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); restore it or prepare the data again.") from None


def _finite(column: dict[str, Any]) -> dict[str, Any]:
    """Keep what a reader wants of a column's statistics, None where there is no number."""
    kept = ("count", "missing_share", "mean", "std", "minimum", "maximum")
    return {key: column[key] if math.isfinite(column[key]) else None for key in kept}

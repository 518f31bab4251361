"""What is in a prepared folder, and whether it still is what was written."""

import math
from pathlib import Path
from typing import Any

from distdnas_hpc.data.manifest import MANIFEST, Manifest
from distdnas_hpc.data.shards import file_sha256
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

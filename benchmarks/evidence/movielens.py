"""MovieLens-100k as a click log in the order of time: a click is a rating of 4 or 5.

python -m benchmarks.evidence.movielens                     fetches it by pip, from the wheel of recbole 1.2.1 (2 MB)
python -m benchmarks.evidence.movielens --wheel FILE        the same from a wheel that is there

Writes movielens/ratings.csv, which configs/study_movielens.yaml reads. GroupLens lets anyone use the ratings for
research, but not pass them on (grouplens.org/datasets/movielens/100k): they belong into no repository.
"""
# ruff: noqa: T201

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from distdnas_hpc.storage import atomic_write

WHEEL = "recbole==1.2.1"
FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
DAYS = 10
"""Slices of equal time, about three weeks each."""


def main() -> None:
    """Fetch the wheel and write the log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="default: fetched by pip")
    parser.add_argument("--out", type=Path, default=Path("movielens/ratings.csv"), help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or fetch(Path(folder))
        rows = list(clicks(wheel))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.out) as temporary:
        pa.csv.write_csv(pa.Table.from_pylist(rows), temporary)
    print(f"{len(rows):,} rows: {options.out}")


def fetch(folder: Path) -> Path:
    """Let pip download the wheel, and nothing that it depends on; its index is the one that pip is set up with."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), WHEEL], check=True)
    return next(folder.glob("*.whl"))


def clicks(wheel: Path) -> Iterator[dict[str, int | str]]:
    """Yield a row for each rating in the order of time; how often a user rated and a film was rated is told up to then.

    Users' ages, films' years and both counts are integers; all else are tokens.
    """
    users = {row["user_id"]: row for row in _table(wheel, "user")}
    films = {row["item_id"]: row for row in _table(wheel, "item")}
    ratings = sorted(_table(wheel, "inter"), key=lambda row: (float(row["timestamp"]), row["user_id"], row["item_id"]))
    first, last = (float(ratings[i]["timestamp"]) for i in (0, -1))
    by_user: Counter[str] = Counter()
    of_film: Counter[str] = Counter()
    for row in ratings:
        user, film = users[row["user_id"]], films[row["item_id"]]
        share = (float(row["timestamp"]) - first) / max(last - first, 1)
        genres = [*film["class"].split(), "", ""]
        yield {
            "day": f"{min(int(share * DAYS), DAYS - 1) + 1:02d}",
            "click": int(float(row["rating"]) >= 4),
            "age": user["age"],
            "year": film["release_year"] if film["release_year"].isdigit() else "",
            "user_ratings": by_user[row["user_id"]],
            "film_ratings": of_film[row["item_id"]],
            "user": row["user_id"],
            "film": row["item_id"],
            "gender": user["gender"],
            "occupation": user["occupation"],
            "zip_area": user["zip_code"][:2],
            "genre": genres[0],
            "second_genre": genres[1],
            "genres": film["class"],
        }
        by_user[row["user_id"]] += 1
        of_film[row["item_id"]] += 1


def _table(wheel: Path, name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one of the wheel's tables; a name in its header is followed by a type."""
    with zipfile.ZipFile(wheel) as files, files.open(f"{FOLDER}.{name}") as raw:
        lines = io.TextIOWrapper(raw, encoding="utf-8")
        header = [field.partition(":")[0] for field in next(lines).rstrip("\n").split("\t")]
        for line in lines:
            yield dict(zip(header, line.rstrip("\n").split("\t"), strict=True))


if __name__ == "__main__":
    main()

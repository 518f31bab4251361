"""Show what an HDF5 shard of prepared data holds.

Tells its rows and clicks, and of each column its missing values, range, and values that are new in this shard. For
example:

    python tools/inspect_shard.py runs/quickstart/prepared/day_01/shard_0000.h5
    python tools/inspect_shard.py runs/quickstart/prepared/day_01/shard_0000.h5 --json
"""

from argparse import Namespace
from pathlib import Path

import face

from distdnas_hpc.data.inspect import describe_shard
from distdnas_hpc.report.grid import Grid


def work(given: Namespace) -> None:
    """Read the shard."""
    content = describe_shard(given.shard)
    if given.json:
        face.tell_json(content)
        return
    dense = [
        (
            c["name"],
            f"{c['missing']:,}",
            *("n/a" if c[key] is None else f"{c[key]:,}" for key in ("minimum", "maximum")),
        )
        for c in content["dense"]
    ]
    sparse = [
        (c["name"], f"{c['missing']:,}", f"{c['distinct']:,}", f"{c['new']:,}", "hashed" if c["hashed"] else "")
        for c in content["sparse"]
    ]
    face.out.print(Grid(("Dense", "Missing", "Minimum", "Maximum"), dense).rich())
    face.out.print(Grid(("Sparse", "Missing", "Distinct", "New here", ""), sparse).rich())
    face.out.print(
        f"{content['rows']:,} rows, {content['clicks']:,} clicks ({content['click_rate']:.2%}), {content['bytes']:,} "
        f"bytes, {content['bytes'] / content['rows']:.1f} a row"
    )


if __name__ == "__main__":
    parser = face.parser(__doc__)
    parser.add_argument("shard", metavar="SHARD", type=Path, help="a shard, e.g. RUN/prepared/day_01/shard_0000.h5")
    face.takes_json(parser)
    face.main(parser, work)

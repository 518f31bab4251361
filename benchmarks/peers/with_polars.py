"""Criteo text to columns of integers with polars: argument 1 is the file, 2 the engine (in-memory or streaming)."""
# ruff: noqa: T201

import os
import sys
import time

os.environ["POLARS_MAX_THREADS"] = str(len(os.sched_getaffinity(0)))
import polars as pl

integers = dict.fromkeys(["label", *(f"I{j + 1}" for j in range(13))], pl.Int32)
tokens = {f"C{j + 1}": pl.String for j in range(26)}

start = time.perf_counter()
table = (
    pl.scan_csv(sys.argv[1], separator="\t", has_header=False, quote_char=None, schema=integers | tokens)
    .with_columns(pl.col(*tokens).str.to_integer(base=16, dtype=pl.Int64))
    .collect(engine=sys.argv[2])
)
seconds = time.perf_counter() - start
assert table["C1"].dtype == pl.Int64
print(seconds)

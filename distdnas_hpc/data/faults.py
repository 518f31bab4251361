"""What is wrong with a faulty line of a tab-separated click log, in words; the slow counterpart of `parser`."""

import re

from distdnas_hpc.config import Schema
from distdnas_hpc.data.rows import MISSING


def find_fault(line: bytes, schema: Schema) -> tuple[str, str]:
    """Return the first fault of a line without its newline, and the remedy."""
    mend = "mend or remove the line"
    fields = line.removesuffix(b"\r").split(b"\t")
    expected = 1 + schema.dense + schema.sparse
    if len(fields) != expected:
        found = f"{len(fields)} field{'s' * (len(fields) > 1)}"
        columns = f"a label, {schema.dense} integers, {schema.sparse} tokens, separated by tabs"
        return f"{found}, but the schema has {expected} ({columns})", f"{mend}, or correct data.schema"
    label, integers, tokens = fields[0], fields[1 : 1 + schema.dense], fields[1 + schema.dense :]
    if label not in (b"0", b"1"):
        return f"label is {_quote(label)} but must be 0 or 1", mend
    for name, value in zip(schema.dense_names, integers, strict=True):
        if value and not _is_integer(value):
            allowed = f"an integer from {MISSING + 1} to {-MISSING - 1}, or empty"
            return f"{name} is {_quote(value)} but must be {allowed}", mend
    for name, value in zip(schema.sparse_names, tokens, strict=True):
        if value and not re.fullmatch(rb"[0-9a-fA-F]{8}", value):
            return f"{name} is {_quote(value)} but must be 8 hexadecimal digits, or empty", mend
    raise RuntimeError(f"refused by the parser but faultless: {line!r}")


def _is_integer(value: bytes) -> bool:
    # Python refuses to read thousands of digits, so zeros in front are left out and only ten are read.
    digits = re.fullmatch(rb"-?0*([0-9]{1,10})", value)
    return digits is not None and int(digits[1]) < -MISSING


def _quote(value: bytes) -> str:
    """Show a field's text, so short that it fits a sentence."""
    return repr(value)[1:] if len(value) <= 40 else repr(value[:40])[1:-1] + "…'"

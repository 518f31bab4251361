"""The list of rows that were left out (`on_bad_row: skip`): how many, and the first hundred in full."""

from collections.abc import Iterable
from pathlib import Path

from distdnas_hpc.data.rows import Rejected
from distdnas_hpc.storage import write_text

LISTED = 100
"""Rows that are listed; a file with more faults than this has one cause for them all."""

_ESCAPES = {code: f"\\x{code:02x}" for code in range(32) if chr(code) != "\t"}
"""So that a row stays one line, and a text."""


class RejectedRows:
    """Counts rejected rows and keeps the first ones for `rejected.tsv`."""

    def __init__(self) -> None:
        self.count = 0
        self._listed: list[tuple[str, ...]] = []

    def add(self, raw: Path, rejected: Iterable[Rejected]) -> None:
        """Take in rows of a raw file."""
        for row in rejected:
            self.count += 1
            if len(self._listed) < LISTED:
                self._listed.append((str(raw), str(row.line), row.reason, row.text.translate(_ESCAPES)))

    def write(self, path: Path) -> None:
        """Write the list: file, line, reason and the row's text, separated by tabs; no file when all rows were good."""
        if self._listed:
            table = [("file", "line", "reason", "text"), *self._listed]
            write_text(path, "".join("\t".join(row) + "\n" for row in table))
        else:
            path.unlink(missing_ok=True)  # of an earlier attempt with other rows

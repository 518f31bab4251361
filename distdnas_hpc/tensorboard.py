"""TensorBoard's event files, written by hand: scalars only, a few dozen lines instead of a package.

A file is a row of records (length, its checksum, an Event in protocol-buffer encoding, its checksum), to which one is
appended each time a task tells its progress. TensorBoard reads it while it grows and leaves a torn last record alone,
so this is the one kind of file here that is not written whole.

Formats: tensorflow/core/lib/io/record_writer.h; tensorflow/core/util/event.proto and framework/summary.proto.
"""

import logging
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES

log = logging.getLogger(__name__)

FOLDER = "tensorboard"
"""Folder of a task's event files: `tensorboard --logdir RUN` finds it and shows it by the task's name."""

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Kinds of protocol-buffer fields."""


class EventFile:
    """A file of scalars over rows; one an attempt, so that none is ever cut.

    Parameters
    ----------
    folder : made with the first event.
    """

    def __init__(self, folder: Path) -> None:
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._begun = False

    def add_progress(self, content: Mapping[str, Any]) -> None:
        """Append what a task says of its progress: loss, rows a second, α and β, over the number of rows so far.

        A file that can't be written is told in the log, once, and left: the task is worth more than its curves.
        """
        scalars = {name: content[name] for name in ("loss", "rows_per_second") if content[name] is not None}
        for side, modules in (("alpha", DENSE_MODULES), ("beta", SPARSE_MODULES)):
            for index, weight in enumerate((content["architecture"] or {}).get(side, ())):
                block, module = divmod(index, len(modules))
                scalars[f"{side}/block_{block + 1}/{modules[module]}"] = weight
        if not scalars or content["rows"] is None:
            return
        try:
            self._append(event(content["time"], content["rows"], scalars))
        except OSError as error:
            log.warning("no more TensorBoard events in %s: %s", self._path, error)
            self.add_progress = lambda content: None  # type: ignore[method-assign]

    def _append(self, data: bytes) -> None:
        records = record(data)
        if not self._begun:
            self._path.parent.mkdir(exist_ok=True)
            records = record(field(1, DOUBLE, struct.pack("<d", time.time())) + string(3, "brain.Event:2")) + records
            self._begun = True
        with self._path.open("ab") as file:
            file.write(records)


def event(wall_time: float, step: int, scalars: Mapping[str, float]) -> bytes:
    """Encode an Event: wall_time = 1, step = 2, summary = 5; in it value = 1, of tag = 1 and simple_value = 2."""
    values = (string(1, tag) + field(2, FLOAT, struct.pack("<f", value)) for tag, value in scalars.items())
    summary = b"".join(message(1, value) for value in values)
    return field(1, DOUBLE, struct.pack("<d", wall_time)) + field(2, VARINT, varint(step)) + message(5, summary)


def record(data: bytes) -> bytes:
    """Frame one record: length and data, each with its checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def field(number: int, kind: int, value: bytes) -> bytes:
    """Encode a field of a message."""
    return varint(number << 3 | kind) + value


def message(number: int, content: bytes) -> bytes:
    """Encode a field that is a message, or bytes."""
    return field(number, BYTES, varint(len(content)) + content)


def string(number: int, text: str) -> bytes:
    """Encode a field of text."""
    return message(number, text.encode())


def varint(value: int) -> bytes:
    """Encode an integer from 0 on, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def masked(data: bytes) -> int:
    """Return the checksum of a record's part: its CRC-32C, rotated, so that checksums can be checksummed again."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC of Castagnoli's polynomial, as iSCSI has it (RFC 3720)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_entry(byte) for byte in range(256)]

"""A reader of TensorBoard's event files, written from the format's definition."""

import struct

from distdnas_hpc.tensorboard import masked


def records(data: bytes) -> list[bytes]:
    """Take a file apart, checksums verified."""
    found, at = [], 0
    while at < len(data):
        length, check = struct.unpack("<QI", data[at : at + 12])
        assert check == masked(data[at : at + 8])
        found.append(data[at + 12 : at + 12 + length])
        assert struct.unpack("<I", data[at + 12 + length : at + 16 + length])[0] == masked(found[-1])
        at += 16 + length
    return found


def fields(data: bytes) -> list[tuple[int, object]]:
    """Take a message apart: number and value of each field; messages and text as bytes."""
    found, at = [], 0

    def integer() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = integer()
        kind, number = key & 7, key >> 3
        if kind == 0:
            value: object = integer()
        elif kind == 2:
            length = integer()
            value = data[at : at + length]
            at += length
        else:
            size, how = {1: (8, "<d"), 5: (4, "<f")}[kind]
            (value,) = struct.unpack(how, data[at : at + size])
            at += size
        found.append((number, value))
    return found


def scalars(data: bytes) -> tuple[int, dict[str, float]]:
    """Step and values of an event."""
    parts = dict(fields(data))
    values = [dict(fields(value)) for number, value in fields(parts[5]) if number == 1]
    return parts[2], {value[1].decode(): value[2] for value in values}

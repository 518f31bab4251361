"""Event files hold what a task told, in TensorBoard's format: read back by a reader of the format's definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdnas_hpc.tensorboard import EventFile, crc32c, event, record, varint
from tests.event_files import fields, records, scalars


def test_known_checksums():
    """From RFC 3720, B.4, and the CRC catalogue's check value."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_known_numbers():
    """From the protocol buffers' encoding guide."""
    assert (varint(0), varint(1), varint(150), varint(300)) == (b"\x00", b"\x01", b"\x96\x01", b"\xac\x02")


@given(
    st.integers(0, 2**63 - 1), st.dictionaries(st.text(min_size=1), st.floats(width=32, allow_nan=False), min_size=1)
)
def test_an_event_is_read_back(step, values):
    (data,) = records(record(event(1.5, step, values)))
    assert scalars(data) == (step, values)
    assert dict(fields(data))[1] == 1.5


def progress(**changes):
    told = {"time": 7.0, "rows": 600, "loss": 0.5, "rows_per_second": 40.0, "architecture": None}
    return {**told, **changes}


def test_progress_becomes_scalars_over_rows(tmp_path):
    events = EventFile(tmp_path / "tensorboard")
    assert not (tmp_path / "tensorboard").exists()
    events.add_progress(progress(architecture={"alpha": [0.1, 0.2, 0.3, 0.4, 0.0] * 2, "beta": [0.2] * 10}))
    events.add_progress(progress(rows=700, loss=None))
    (path,) = (tmp_path / "tensorboard").iterdir()
    assert path.name.startswith("events.out.tfevents.")
    begin, first, second = records(path.read_bytes())
    assert dict(fields(begin))[3] == b"brain.Event:2"
    step, values = scalars(first)
    assert (step, values["loss"], values["alpha/block_2/dot_product"]) == (600, 0.5, pytest.approx(0.3))
    assert len(values) == 2 + 20
    assert scalars(second) == (700, {"rows_per_second": 40.0})


def test_a_task_without_rows_tells_nothing(tmp_path):
    EventFile(tmp_path / "tensorboard").add_progress(progress(rows=None))
    EventFile(tmp_path / "tensorboard").add_progress(progress(loss=None, rows_per_second=None))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_went_costs_the_curves_and_not_the_task(tmp_path, caplog):
    events = EventFile(tmp_path / "gone" / "tensorboard")
    events.add_progress(progress())
    events.add_progress(progress())
    assert len([line for line in caplog.messages if "no more TensorBoard events" in line]) == 1

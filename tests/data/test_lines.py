"""Text of any length in blocks of whole lines, plain or gzip, and the sentence for every file that can't be read."""

import gzip
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from distdnas_hpc.data.lines import TextBlock, read_lines
from distdnas_hpc.errors import UserError
from tests.data.click_logs import REAL

any_line = st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"\r") + b"\n")


def blocks_of(path, block_bytes=1 << 20) -> list[TextBlock]:
    """Read a file, with copies of the texts."""
    with_copies = []
    for block in read_lines(path, block_bytes):
        with_copies.append(block._replace(text=block.text.tobytes()))
    return with_copies


def text_of(path, block_bytes=1 << 20) -> bytes:
    return b"".join(block.text for block in blocks_of(path, block_bytes))


def fault_of(path, block_bytes=1 << 20) -> str:
    with pytest.raises(UserError) as caught:
        text_of(path, block_bytes)
    return str(caught.value)


@given(lines=st.lists(any_line, min_size=1, max_size=12), newline_at_the_end=st.booleans(), packed=st.booleans())
@settings(deadline=None, max_examples=100)
def test_every_cut_gives_the_same_lines(tmp_path_factory, lines, newline_at_the_end, packed):
    path = tmp_path_factory.getbasetemp() / "any_lines"
    content = b"".join(lines) if newline_at_the_end else b"".join(lines)[:-1]
    assume(packed or not content.startswith(b"\x1f\x8b"))
    path.write_bytes(gzip.compress(content) if packed else content)
    expected = content + b"\n" * (content[-1:] not in (b"\n", b""))
    for block_bytes in range(max(map(len, lines)), len(expected) + 2):
        blocks = blocks_of(path, block_bytes)
        assert b"".join(block.text for block in blocks) == expected
        for block in blocks:
            assert block.text.endswith(b"\n")
            assert block.text.count(b"\n") == block.lines
            assert len(block.text) <= block_bytes + 1


def test_gzip_is_known_by_content_not_by_name(tmp_path):
    lines = [f"{i}\n".encode() for i in range(1000)]
    (tmp_path / "packed").write_bytes(gzip.compress(b"".join(lines)))
    (tmp_path / "members").write_bytes(b"".join(map(gzip.compress, lines)))  # as pigz and bgzip write
    (tmp_path / "padded").write_bytes(gzip.compress(b"".join(lines)) + b"\0" * 512)  # as tapes have it
    (tmp_path / "plain.gz").write_bytes(b"".join(lines))
    for path in tmp_path.iterdir():
        assert text_of(path) == b"".join(lines), path.name


def test_real_text_comes_back():
    for block_bytes in (1000, 100_000):
        assert text_of(REAL, block_bytes) == gzip.decompress(REAL.read_bytes())


def test_the_fraction_grows_to_one(tmp_path):
    (tmp_path / "log").write_bytes(b"123456789\n" * 1000)
    fractions = [block.fraction for block in blocks_of(tmp_path / "log", 100)]
    assert len(fractions) >= 100
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 0.02
    assert fractions[-1] == 1


def test_a_reader_that_stops_early_leaves_no_thread_and_no_open_file(tmp_path, new_threads):
    (tmp_path / "log").write_bytes(b"123456789\n" * 1000)
    blocks = read_lines(tmp_path / "log", 100)
    next(blocks)
    assert len(new_threads()) == 1
    blocks.close()
    assert new_threads() == []


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_file_has_no_blocks(tmp_path, content):
    (tmp_path / "log").write_bytes(content)
    assert blocks_of(tmp_path / "log") == []


def test_a_missing_file_is_named(tmp_path):
    assert fault_of(tmp_path / "log") == (
        f"The raw file {tmp_path}/log does not exist; put it there or correct data.raw."
    )


def test_a_folder_is_named(tmp_path):
    assert fault_of(tmp_path) == (
        f"The raw file {tmp_path} can't be read (Is a directory); mend that or correct data.raw."
    )


DAMAGES = {
    "cut": lambda b: b[:-300],
    "cut in the checksum": lambda b: b[:-6],
    "cut in the header": lambda b: b[:5],
    "flipped bytes": lambda b: b[:50_000] + b"????" + b[50_004:],
    "an impossible block": lambda b: b[:30] + b"\xff" * 2000 + b[2030:],
    "another checksum": lambda b: b[:-8] + b"\0\0\0\0" + b[-4:],
    "another length": lambda b: b[:-4] + b"\0\0\0\0",
    "something behind it": lambda b: b + b"0\t1\t2\n",
    "another method": lambda b: b[:2] + b"\7" + b[3:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "damaged.gz"
    path.write_bytes(damage(REAL.read_bytes()))
    told = re.escape(f"The raw file {path} is a damaged or cut-off gzip file (")
    assert re.fullmatch(rf"{told}.*\); copy it again, and check the copy with 'gzip -t'\.", fault_of(path))


@given(st.integers(2, len(gzip.compress(b"1\t2\tabc\n" * 50, mtime=0)) - 1))
@settings(deadline=None)
def test_a_gzip_file_cut_anywhere_is_named(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "cut.gz"
    path.write_bytes(gzip.compress(b"1\t2\tabc\n" * 50, mtime=0)[:length])
    assert "damaged or cut-off gzip file" in fault_of(path)


def test_a_line_longer_than_a_block_is_named(tmp_path):
    (tmp_path / "log").write_bytes(b"1\n2\n3\n" + b"x" * (2 << 20) + b"\n4\n")
    assert fault_of(tmp_path / "log").startswith(
        f"{tmp_path}/log, line 4: a line longer than 1 MiB; is this a tab-separated log"
    )

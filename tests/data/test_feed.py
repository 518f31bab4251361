"""Batches: every row once, in order or permuted, normalised by the training days."""

import gc
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import feed as feed_module
from distdnas_hpc.data import shards as shards_module
from distdnas_hpc.data import shuffle as shuffle_module
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Day, IdsInfo, Manifest
from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.data.rows import MISSING, Columns
from distdnas_hpc.data.shards import ShardInfo, create_shard
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from tests.data.click_logs import read_ids, small_data, small_text

ROWS = 300


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Two days; day 2 has 300 rows in shards of 130. I1 is the number of the row, from 100."""
    folder = tmp_path_factory.mktemp("feed")
    (folder / "day_0").write_text(small_text(100))
    (folder / "day_1").write_text(small_text(ROWS, first=100))
    data = small_data(folder, days=2, shard_rows=130)
    parsed = {day: folder / f"parsed_{day}" for day in (1, 2)}
    for day, path in parsed.items():
        parse_day(data, day, path, folder / "prepared", Progress(None), training=day == 1)
    merge_days(data, [1], parsed, folder / "prepared")
    encoded = {day: encode_day(data, day, path, folder / "prepared", Progress(None)) for day, path in parsed.items()}
    write_manifest(data, encoded, folder / "prepared")
    return Manifest.load(folder / "prepared")


@pytest.fixture
def small_buffer(monkeypatch):
    """Chunks of 16 rows, three to a buffer: day 2 is seven buffers."""
    monkeypatch.setattr(shards_module, "CHUNK_ROWS", 16)
    monkeypatch.setattr(shuffle_module, "CHUNK_ROWS", 16)
    monkeypatch.setattr(shuffle_module, "BUFFER_CHUNKS", 3)


def stored(manifest, day=2) -> Columns:
    """A day's rows with ids."""
    return read_ids(manifest.folder, manifest.days[day])


def whole(feed) -> Batch:
    return Batch(*(torch.cat(columns) for columns in zip(*feed, strict=True)))


def test_batches_are_what_models_take(manifest):
    batches = list(Feed(manifest, 2, 64))
    assert len(batches) == len(Feed(manifest, 2, 64)) == 5
    for batch, rows in zip(batches, [64, 64, 64, 64, 44], strict=True):
        assert (batch.label.shape, batch.label.dtype) == ((rows,), torch.float32)
        assert (batch.dense.shape, batch.dense.dtype) == ((rows, 2), torch.float32)
        assert (batch.sparse.shape, batch.sparse.dtype) == ((rows, 3), torch.int64)


def test_file_order_without_a_seed(manifest):
    rows, batch = stored(manifest), whole(Feed(manifest, 2, 64))
    assert Feed(manifest, 2, 64).rows == ROWS
    assert batch.label.tolist() == rows.label.tolist()
    assert batch.sparse.tolist() == rows.sparse.T.tolist()


def test_dense_values_are_standardised_and_missing_is_the_mean(manifest):
    rows, batch = stored(manifest), whole(Feed(manifest, 2, 64))
    x = rows.dense.T.astype(np.float64)
    expected = (np.sign(x) * np.log1p(np.abs(x)) - manifest.dense_mean) / manifest.dense_std
    missing = rows.dense.T == MISSING
    assert missing.any()
    np.testing.assert_allclose(batch.dense.numpy()[~missing], expected[~missing], rtol=1e-4, atol=1e-5)
    assert (batch.dense.numpy()[missing] == 0).all()


def test_training_days_are_standard_after_normalising(manifest):
    dense = whole(Feed(manifest, 1, 64)).dense.double()
    present = torch.from_numpy(stored(manifest, 1).dense.T != MISSING)
    for j in range(2):
        values = dense[present[:, j], j]
        assert values.mean().item() == pytest.approx(0, abs=1e-5)
        assert values.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_ids_fit_the_tables(manifest):
    for day in (1, 2):
        sparse = whole(Feed(manifest, day, 64)).sparse
        assert (sparse >= 0).all()
        assert (sparse < torch.tensor(manifest.table_sizes)).all()


@given(seed=st.integers(0, 2**32 - 1), batch_size=st.integers(1, 400))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_shuffle_is_a_permutation_of_whole_rows(manifest, small_buffer, seed, batch_size):
    feed = Feed(manifest, 2, batch_size, shuffle_seed=seed)
    batches = list(feed)
    assert [len(batch.label) for batch in batches[:-1]] == [batch_size] * (len(feed) - 1)
    assert len(batches) == len(feed)
    shuffled, plain = whole(batches), whole(Feed(manifest, 2, batch_size))
    back = shuffled.dense[:, 0].argsort()  # I1 grows with the row's number
    assert all(torch.equal(a[back], b) for a, b in zip(shuffled, plain, strict=True))


def rows_of(manifest, seed) -> np.ndarray:
    """Numbers of day 2's rows in the order of a shuffle, from 0."""
    return whole(Feed(manifest, 2, 64, shuffle_seed=seed)).dense[:, 0].argsort().argsort().numpy()


def test_the_seed_decides_the_order(manifest):
    assert (rows_of(manifest, 5) == rows_of(manifest, 5)).all()
    assert (rows_of(manifest, 5) != rows_of(manifest, 6)).any()
    feed = Feed(manifest, 2, 64, shuffle_seed=5)
    assert torch.equal(whole(feed).dense, whole(feed).dense), "a second pass is like the first"


def test_the_order_does_not_depend_on_the_batch_size(manifest, small_buffer):
    a, b = (whole(Feed(manifest, 2, size, shuffle_seed=5)) for size in (7, 100))
    assert torch.equal(a.dense, b.dense)


def test_a_day_within_the_buffer_is_permuted_fully(manifest):
    place = np.array([np.flatnonzero(rows_of(manifest, seed) == 0)[0] for seed in range(200)])
    # The first row lands anywhere: mean and spread of a uniform draw of 0..299.
    assert abs(place.mean() - 149.5) < 4 * 86.6 / np.sqrt(200)
    assert 75 < place.std() < 98


def test_batches_go_to_a_device(manifest):
    batch = next(iter(Feed(manifest, 2, 8)))
    assert {tensor.device.type for tensor in batch.to(torch.device("meta"))} == {"meta"}
    assert isinstance(batch.to(torch.device("cpu")), Batch)


def test_a_day_that_is_not_prepared_is_told(manifest):
    with pytest.raises(UserError, match=r"Day 3 is not prepared in .* \(days there: 1, 2\)"):
        Feed(manifest, 3, 8)


def copy_of(manifest, folder) -> Manifest:
    (folder / "day_02").mkdir()
    for name in manifest.days[2].files:
        (folder / name).write_bytes((manifest.folder / name).read_bytes())
    return Manifest(**vars(manifest) | {"folder": folder})


def test_a_missing_shard_is_named(manifest, tmp_path):
    copy = copy_of(manifest, tmp_path)
    (tmp_path / "day_02/shard_0001.h5").unlink()
    with pytest.raises(UserError, match=f"{tmp_path}/day_02/shard_0001.h5 does not exist"):
        next(iter(Feed(copy, 2, 8)))


def test_a_shard_of_other_rows_is_named(manifest, tmp_path):
    copy = copy_of(manifest, tmp_path)
    with create_shard(tmp_path / "day_02/shard_0002.h5", 2, 3) as shard:
        shard.finish((), (), ())
    with pytest.raises(
        UserError, match=r"shard_0002.h5 has changed since it was prepared: it has [0-9,]+ bytes, and had"
    ):
        next(iter(Feed(copy, 2, 8)))


DAYS = {"one shard": [300], "three": [130, 130, 40], "small ones": [1, 50, 16, 33, 2], "one row": [1]}


def write_ids(folder, columns, codes) -> IdsInfo:
    """Give every code a random id."""
    np.save(folder / "ids.npy", np.random.default_rng(1).integers(0, 2**31, columns * (codes + 1), np.int32))
    return IdsInfo("ids.npy", (codes,) * columns, "")


def write_manifest_of(folder, sizes) -> Manifest:
    """Write a day of shards of any rows, chunks of 16 on disk too."""
    rng = np.random.default_rng(len(sizes))
    (folder / "day_01").mkdir()
    infos = []
    for i, n in enumerate(sizes):
        info = ShardInfo(f"day_01/shard_{i:04d}.h5", n, "")
        with create_shard(folder / info.name, 2, 3) as shard:
            shard.append(
                Columns(
                    rng.integers(0, 2, n, np.uint8),
                    rng.integers(0, 2**20, (2, n), np.int32),
                    rng.integers(-(2**31) + 1, 1000, (3, n), np.int32),
                )
            )
            shard.finish((), (), ())
        infos.append(info)
    return Manifest(
        folder=folder,
        days={1: Day(rows=sum(sizes), clicks=0, shards=tuple(infos), ids=write_ids(folder, 3, 1000))},
        table_sizes=(2**31,) * 3,
        dense_mean=(0.5, 1.0),
        dense_std=(2.0, 3.0),
        dense_columns=("I1", "I2"),
        sparse_columns=("C1", "C2", "C3"),
    )


@pytest.fixture(params=DAYS.values(), ids=DAYS)
def any_day(request, tmp_path, small_buffer):
    return write_manifest_of(tmp_path, request.param)


def assert_same_batches(found, expected) -> None:
    found, expected = list(found), list(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert all(torch.equal(x, y) for x, y in zip(a, b))


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("batch_size", [5, 48, 1000])
def test_a_pass_resumes_exactly_at_every_batch(any_day, seed, batch_size):
    feed = Feed(any_day, 1, batch_size, shuffle_seed=seed)
    expected = list(feed)
    for first in range(len(feed) + 1):
        assert_same_batches(feed.batches(first), expected[first:])


@pytest.mark.parametrize("first", [-1, 6])
def test_a_pass_that_starts_beyond_the_day_is_refused(manifest, first):
    with pytest.raises(ValueError, match=f"first batch {first} of a day of 5"):
        Feed(manifest, 2, 64).batches(first)


@pytest.mark.parametrize("alive", [1, 2, 9])
def test_batches_do_not_depend_on_how_many_are_made_ahead(manifest, small_buffer, monkeypatch, alive):
    feed = Feed(manifest, 2, 32, shuffle_seed=5)
    expected = list(feed)
    monkeypatch.setattr(feed_module, "BATCHES_ALIVE", alive)
    assert_same_batches(feed, expected)


@pytest.mark.parametrize("batch_size", [30, 31, 60, 300])
def test_pairs_are_two_parts_of_the_day(manifest, small_buffer, batch_size):
    feed = Feed(manifest, 2, batch_size, shuffle_seed=5)
    batches, pairs = list(feed), list(feed.pairs())
    assert len(pairs) == len(batches) // 2, "a last batch without a partner is left out"
    assert_same_batches((pair.w for pair in pairs), batches[0 : 2 * len(pairs) : 2])
    assert_same_batches((pair.architecture for pair in pairs), batches[1 : 2 * len(pairs) : 2])


def test_the_two_parts_of_a_day_have_no_row_in_common_and_are_equally_random(manifest, small_buffer):
    pairs = list(Feed(manifest, 2, 30, shuffle_seed=5).pairs())
    w, architecture = (whole(part).dense[:, 0] for part in zip(*pairs))
    assert (len(w), len(architecture), len({*w.tolist(), *architecture.tolist()})) == (150, 150, ROWS)
    # I1 is the row's number in the day; both parts come from all of it.
    assert abs(w.mean() - architecture.mean()) < 0.5 * w.std()


def test_pairs_resume_exactly_at_every_pair(manifest, small_buffer):
    feed = Feed(manifest, 2, 40, shuffle_seed=5)
    expected = list(feed.pairs())
    assert len(expected) == 4
    for first in range(5):
        resumed = list(feed.pairs(first))
        assert len(resumed) == 4 - first
        for a, b in zip(resumed, expected[first:]):
            assert_same_batches(a, b)


def test_pairs_that_are_left_early_leave_no_thread(manifest, small_buffer, traces):
    pairs = Feed(manifest, 2, 7, shuffle_seed=5).pairs()
    next(pairs)
    pairs.close()
    assert traces(manifest.folder) == (0, 0)


def test_two_passes_at_a_time_do_not_disturb_each_other(manifest, small_buffer):
    feed = Feed(manifest, 2, 32, shuffle_seed=5)
    a, b = zip(*zip(feed, feed))
    assert_same_batches(a, feed)
    assert_same_batches(b, feed)


@pytest.fixture
def traces(new_threads):
    """Gives the number of threads that this test's feeds have, and of open files below a folder."""

    def count(folder) -> tuple[int, int]:
        gc.collect()  # a mapped file is closed when nobody refers to it any more, as a caught fault's traceback does
        files = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return new_threads().count("prefetch"), sum(folder in path.parents for path in files)

    return count


def test_a_pass_that_is_left_early_leaves_no_thread_and_no_open_file(tmp_path, small_buffer, traces):
    day = write_manifest_of(tmp_path, [100, 200, 100])
    batches = Feed(day, 1, 7, shuffle_seed=5).batches()
    next(batches)
    assert traces(tmp_path) == (3, 4), "three shards and the ids"
    batches.close()
    assert traces(tmp_path) == (0, 0)
    for _ in Feed(day, 1, 7):
        break
    assert traces(tmp_path) == (0, 0)


def test_damage_is_told_where_it_is_reached(tmp_path, small_buffer, traces):
    day = write_manifest_of(tmp_path, [64, 64])
    path = tmp_path / day.days[1].shards[1].name
    with h5py.File(path) as file:
        chunk = file["dense"].id.get_chunk_info_by_coord((0, 16))
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    taken = []
    with pytest.raises(UserError, match=rf"{path} can't be read .*; prepare the data again"):
        for batch in Feed(day, 1, 16):
            taken.append(batch)
    assert len(taken) == 5, "64 rows of the first shard and the first 16 of the second"
    assert traces(tmp_path) == (0, 0)


MEMORY = """if True:
    import re
    import sys
    from pathlib import Path
    import numpy as np
    from distdnas_hpc.data import shuffle
    from distdnas_hpc.data.feed import Feed
    from distdnas_hpc.data.manifest import Day, IdsInfo, Manifest
    from distdnas_hpc.data.rows import Columns
    from distdnas_hpc.data.shards import ShardInfo, create_shard

    folder, piece = Path(sys.argv[1]), 16_384
    rows = Columns(np.ones(piece, "u1"), np.ones((13, piece), "i4"), np.ones((26, piece), "i4"))
    with create_shard(folder / "day.h5", 13, 26) as shard:
        for _ in range(16):
            shard.append(rows)
        shard.finish((), (), ())
    info, ids = ShardInfo("day.h5", shard.rows, ""), IdsInfo("ids.npy", (1,) * 26, "")
    np.save(folder / ids.name, np.ones(52, "i4"))
    days = {times: Day(times * shard.rows, 0, times * (info,), ids) for times in (1, 10)}
    columns = tuple(map(str, range(39)))
    manifest = Manifest(folder, days, (2,) * 26, (0.0,) * 13, (1.0,) * 13, columns[:13], columns[13:])
    shuffle.BUFFER_CHUNKS = 8
    for day in days:
        for batch in Feed(manifest, day, 8192, shuffle_seed=5):
            pass
        # Not ru_maxrss, which starts with the memory of the process that started this one.
        print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def test_memory_does_not_grow_with_the_day(tmp_path):
    """Days of 262,144 and 2,621,440 rows, 41 and 412 MB unpacked, through two buffers of 131,072 rows, 41 MB."""
    short, long = map(float, subprocess.check_output([sys.executable, "-c", MEMORY, tmp_path], text=True).split())
    assert long - short < 60


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_batches_for_a_gpu_are_pinned_and_arrive_as_they_are(manifest):
    for batch in Feed(manifest, 2, 64, shuffle_seed=5):
        assert all(tensor.is_pinned() for tensor in batch)
        assert all(torch.equal(a.cpu(), b) for a, b in zip(batch.to(torch.device("cuda")), batch))

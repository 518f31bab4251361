"""Batches: every row once, in order or permuted, normalised by the training days."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import feed as module
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.data.rows import MISSING
from distdnas_hpc.data.shards import create_shard, open_shard
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from tests.data.click_logs import joined, small_data, small_text

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
        parse_day(data, day, path, Progress(None))
    merge_days(data, [1], parsed, folder / "prepared")
    encoded = {day: encode_day(data, day, path, folder / "prepared", Progress(None)) for day, path in parsed.items()}
    write_manifest(data, encoded, folder / "prepared")
    return Manifest.load(folder / "prepared")


@pytest.fixture
def small_buffer(monkeypatch):
    """Chunks of 16 rows, three to a buffer: day 2 is seven buffers."""
    monkeypatch.setattr(module, "CHUNK_ROWS", 16)
    monkeypatch.setattr(module, "BUFFER_CHUNKS", 3)


def stored(manifest, day=2):
    parts = []
    for info in manifest.days[day].shards:
        with open_shard(manifest.folder / info.name) as shard:
            parts.append(shard.read(0, shard.rows))
    return joined(parts)


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
    assert batch.sparse.tolist() == rows.sparse.tolist()


def test_dense_values_are_standardised_and_missing_is_the_mean(manifest):
    rows, batch = stored(manifest), whole(Feed(manifest, 2, 64))
    x = rows.dense.astype(np.float64)
    expected = (np.sign(x) * np.log1p(np.abs(x)) - manifest.dense_mean) / manifest.dense_std
    missing = rows.dense == MISSING
    assert missing.any()
    np.testing.assert_allclose(batch.dense.numpy()[~missing], expected[~missing], rtol=1e-4, atol=1e-5)
    assert (batch.dense.numpy()[missing] == 0).all()


def test_training_days_are_standard_after_normalising(manifest):
    dense = whole(Feed(manifest, 1, 64)).dense.double()
    present = torch.from_numpy(stored(manifest, 1).dense != MISSING)
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


def test_a_longer_day_is_shuffled_by_chunks_and_within_the_buffer(manifest, small_buffer):
    rows = rows_of(manifest, 5)
    first_buffer = rows[:48]
    # Shards of 130 rows have chunks from 0, 16, …, 128 (2 rows), 130, …: a chunk is shard and place in the shard.
    chunks = {(r // 130, r % 130 // 16) for r in first_buffer}
    assert len(chunks) in (3, 4)
    assert sorted(first_buffer) != sorted(rows_of(manifest, 6)[:48]), "chunks come in another order"
    assert (np.diff(first_buffer) != 1).mean() > 0.8, "rows are mixed within the buffer"


def test_batches_go_to_a_device(manifest):
    batch = next(iter(Feed(manifest, 2, 8)))
    assert {tensor.device.type for tensor in batch.to(torch.device("meta"))} == {"meta"}
    assert isinstance(batch.to(torch.device("cpu")), Batch)


def test_a_day_that_is_not_prepared_is_told(manifest):
    with pytest.raises(UserError, match=r"Day 3 is not prepared in .* \(days there: 1, 2\)"):
        Feed(manifest, 3, 8)


def copy_of(manifest, folder) -> Manifest:
    (folder / "day_02").mkdir()
    for info in manifest.days[2].shards:
        (folder / info.name).write_bytes((manifest.folder / info.name).read_bytes())
    return Manifest(**vars(manifest) | {"folder": folder})


def test_a_missing_shard_is_named(manifest, tmp_path):
    copy = copy_of(manifest, tmp_path)
    (tmp_path / "day_02/shard_0001.h5").unlink()
    with pytest.raises(UserError, match=f"{tmp_path}/day_02/shard_0001.h5 does not exist"):
        next(iter(Feed(copy, 2, 8)))


def test_a_shard_of_other_rows_is_named(manifest, tmp_path):
    copy = copy_of(manifest, tmp_path)
    with create_shard(tmp_path / "day_02/shard_0002.h5", 2, 3):
        pass
    with pytest.raises(UserError, match=r"shard_0002.h5 has 0 rows but the manifest says 40; prepare the data again"):
        next(iter(Feed(copy, 2, 8)))

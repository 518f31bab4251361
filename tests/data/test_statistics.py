"""Statistics against the definitions, and merging that changes nothing."""

import math
import statistics

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data.rows import MISSING
from distdnas_hpc.data.statistics import DenseStatistics, merge_all
from tests.data.click_logs import slow_transform

value = st.just(MISSING) | st.integers(1 - 2**31, 2**31 - 1) | st.integers(-3, 100)
table = st.lists(st.tuples(value, value), max_size=30)
patient = settings(deadline=None)  # the first example waits for the compiler


def of(rows) -> DenseStatistics:
    return DenseStatistics.of(np.array(rows, np.int32).reshape(-1, 2).T.copy())


def assert_close(a: DenseStatistics, b: DenseStatistics) -> None:
    for name, values in vars(a).items():
        assert getattr(b, name) == pytest.approx(values, rel=1e-9, abs=1e-9), name


@patient
@given(table)
def test_moments_are_those_of_the_present_values(rows):
    found = of(rows)
    for j in range(2):
        values = [slow_transform(row[j]) for row in rows if row[j] != MISSING]
        assert (found.count[j], found.missing[j]) == (len(values), len(rows) - len(values))
        if values:
            assert found.mean[j] == pytest.approx(statistics.fmean(values), abs=1e-9)
            assert found.m2[j] == pytest.approx(len(values) * statistics.pvariance(values), rel=1e-9, abs=1e-9)
            assert (found.minimum[j], found.maximum[j]) == pytest.approx((min(values), max(values)))


@patient
@given(st.lists(table, min_size=1, max_size=5))
def test_merged_parts_are_the_whole(parts):
    assert_close(merge_all(of(rows) for rows in parts), of([row for rows in parts for row in rows]))


def test_a_small_day_beside_a_long_one_loses_no_precision():
    long, short = np.full((1, 1_000_000), 10**9, np.int32), np.array([[10**9 + 1000]], np.int32)
    merged = DenseStatistics.of(long).merge(DenseStatistics.of(short))
    step = math.log1p(10**9 + 1000) - math.log1p(10**9)
    assert merged.m2[0] == pytest.approx(step**2 * 1_000_000 / 1_000_001, rel=1e-6)


def test_std_is_that_of_the_population():
    assert of([(0, 0), (1, 5), (2, MISSING)]).std == pytest.approx(
        [statistics.pstdev(map(slow_transform, (0, 1, 2))), statistics.pstdev(map(slow_transform, (0, 5)))]
    )


@pytest.mark.parametrize("rows", [[(MISSING, 7), (MISSING, 7)], [(MISSING, 7)], []])
def test_std_of_a_column_without_spread_is_one(rows):
    assert of(rows).std.tolist() == [1, 1]


def test_a_constant_column_keeps_std_one_through_many_merges():
    parts = [of([(123_456_789, -7)] * n) for n in range(1, 50)]
    assert merge_all(parts).std.tolist() == [1, 1]


@patient
@given(table)
def test_yaml_keeps_every_bit(rows):
    before = of(rows)
    after = DenseStatistics.from_dict(yaml.safe_load(yaml.safe_dump(before.to_dict())))
    for name, values in vars(before).items():
        assert getattr(after, name).tolist() == values.tolist()
        assert getattr(after, name).dtype == values.dtype


def test_description_has_what_a_reader_asks_for():
    described = of([(3, 0), (7, MISSING), (MISSING, MISSING), (15, MISSING)]).describe(["a", "b"])
    logs = [math.log(4), math.log(8), math.log(16)]
    assert described["a"]["count"] == 3
    assert described["a"]["missing_share"] == 0.25
    assert described["a"]["mean"] == pytest.approx(statistics.fmean(logs))
    assert described["a"]["variance"] == pytest.approx(statistics.pvariance(logs))
    assert (described["a"]["minimum"], described["a"]["maximum"]) == pytest.approx((logs[0], logs[2]))
    assert described["b"]["missing_share"] == 0.75
    assert of([]).describe(["a", "b"])["a"]["missing_share"] == 0

"""MovieLens as a click log: from a wheel with ratings of our own."""

import csv
import sys
import zipfile

import pytest
import yaml

from benchmarks.evidence import movielens
from tests.shrunk import ROOT

TABLES = {
    "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\tT8H1N\n",
    "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "10\tToy Story\t1995\tAnimation Children's Comedy\n11\tÉtoile\tunknown\tDrama\n",
    "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t10\t4\t2000\n2\t10\t3\t1000\n1\t11\t5\t1949\n1\t10\t1\t1100\n",
}  # fmt: skip


@pytest.fixture
def rows(tmp_path, monkeypatch):
    wheel = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in TABLES.items():
            file.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{name}", text)
    monkeypatch.setattr(sys, "argv", ["movielens", "--wheel", str(wheel), "--out", str(tmp_path / "new/ratings.csv")])
    movielens.main()
    with (tmp_path / "new/ratings.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_stand_in_the_order_of_time_in_slices_of_equal_time(rows):
    assert [(row["user"], row["film"], row["day"]) for row in rows] == [
        ("2", "10", "01"), ("1", "10", "02"), ("1", "11", "10"), ("1", "10", "10"),
    ]  # fmt: skip


def test_a_click_is_a_rating_of_4_or_more(rows):
    assert [row["click"] for row in rows] == ["0", "0", "1", "1"]


def test_counts_are_of_what_came_before(rows):
    assert [(row["user_ratings"], row["film_ratings"]) for row in rows] == [
        ("0", "0"), ("0", "1"), ("1", "0"), ("2", "2"),
    ]  # fmt: skip


def test_attributes_of_users_and_films(rows):
    assert [(row["age"], row["zip_area"]) for row in rows[:2]] == [("53", "T8"), ("24", "85")]
    assert [(row["year"], row["genre"], row["second_genre"]) for row in rows[1:3]] == [
        ("1995", "Animation", "Children's"), ("", "Drama", ""),
    ]  # fmt: skip


def test_the_config_reads_columns_that_are_written(rows):
    schema = yaml.safe_load((ROOT / "configs/study_movielens.yaml").read_text())["data"]["schema"]
    assert {schema["label"], *schema["dense"], *schema["sparse"], "day"} == set(rows[0])

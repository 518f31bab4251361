"""The paired comparison with DLRM, from scores on disk to the sentences that rest on it."""

import dataclasses

import numpy as np
import pytest

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.differences import read_differences, write_differences
from distdnas_hpc.report.headline import headline
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.table import caveat, comparison, comparison_cells
from distdnas_hpc.train.scores import SCORES, Scores, comparer, write_scores

MODELS = ("distdnas_t0.2_m1", "dlrm")


@pytest.fixture
def scored(run):
    """A run whose models have scores: those of DistDNAS are DLRM's, somewhat better."""
    rng = np.random.default_rng(1)
    label = (rng.random(1200) < 0.2).astype(np.uint8)
    dlrm = Scores(label, rng.normal(label, 1).astype(np.float32))
    better = Scores(label, (dlrm.logit + label * 0.02).astype(np.float32))
    for name, scores in zip(MODELS, (better, dlrm)):
        write_scores(run.path / "train" / name / SCORES, scores)
    (run.path / "report/all").mkdir(parents=True)
    return run, comparer(dlrm)(better)


def write(run) -> None:
    write_differences(run.path, MODELS, run.path / "report/all")


def test_the_models_differences_are_read_with_the_results(scored):
    run, expected = scored
    write(run)
    distdnas, dlrm = read_results(run.path).models
    assert distdnas.difference == expected
    assert dlrm.difference is None, "nothing differs from itself"


def test_the_table_shows_the_error_of_the_relative_ne(scored):
    run, expected = scored
    write(run)
    results = read_results(run.path)
    assert comparison(results)[0]["auc_difference"] == expected.auc
    assert comparison_cells(results)[0][-1] == f"+1.00 ± {expected.relative_ne_percent_standard_error:.3f}"
    assert comparison_cells(results)[1][-1] == "0.00"


def test_what_two_independent_tests_would_not_tell_a_paired_one_does(scored):
    """An AUC that is 0.006 higher, where each has a standard error of 0.018."""
    run, expected = scored
    assert "too little to tell from chance" in headline(read_results(run.path))
    write(run)
    results = read_results(run.path)
    assert expected.auc > 3 * expected.auc_standard_error
    assert headline(results).endswith("more than chance in the draw of the 1,200 test rows explains.")
    assert "paired on these same rows the AUC of DistDNAS (θ=0.2, M=1) is 0.00" in caveat(results)
    assert "more than chance" in caveat(results)
    little = dataclasses.replace(results.models[0], difference=expected._replace(auc_standard_error=1.0))
    assert "too little to tell from chance" in caveat(dataclasses.replace(results, models=(little, results.models[1])))


def test_without_scores_of_dlrm_there_is_nothing_to_compare_with(scored):
    run, _ = scored
    write(run)
    (run.path / "train/dlrm" / SCORES).unlink()
    write(run)
    assert read_differences(run.path / "report/all") == {}, "those of an earlier report are gone"
    assert read_results(run.path).models[0].difference is None


def test_damage_is_named(scored):
    run, _ = scored
    (run.path / "report/all/differences.yaml").write_text("models: {distdnas_t0.2_m1: {auc: 1}}")
    with pytest.raises(UserError, match=r"differences\.yaml is damaged"):
        read_results(run.path)

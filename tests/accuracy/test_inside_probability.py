"""The inside-probability on real reports of companies it was not fitted on. Credit: EarningsWatcher,
https://earnings-watcher.com, CC BY 4.0.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

from ivcrush.application.metrics.inside_probability import MODEL

pytestmark = pytest.mark.shared
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fit_inside_probability.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("fit_inside_probability", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def reports(script, shared_dir):
    return script.read_reports(shared_dir / "data" / "earningswatcher_2022_2026.csv")


@pytest.fixture(scope="module")
def evaluation(script, reports):
    return script.evaluate(reports)


def test_the_data_are_the_1376_reports_of_85_companies_of_which_69_5_per_cent_stayed_inside(reports):
    assert len(reports.inside) == 1376
    assert len(set(reports.company)) == 85
    assert reports.inside.mean() == pytest.approx(0.695, abs=0.0005)
    assert (reports.quarters >= 4).sum() == 1036


def test_the_constants_in_the_code_are_those_of_the_refit(script, reports):
    fitted = script.fit_model(reports)
    for name in ("intercept", "ratio_slope", "typical_log_ratio", "session_slope"):
        assert getattr(MODEL, name) == pytest.approx(getattr(fitted, name), abs=6e-5)


def test_over_twenty_splits_the_model_beats_the_base_rate_a_little_and_the_raw_share_by_far(evaluation):
    assert evaluation.splits == 20
    assert evaluation.model.brier < evaluation.base_rate.brier - 0.001
    assert evaluation.model.log_loss < evaluation.base_rate.log_loss - 0.003
    assert evaluation.model.brier < evaluation.raw_share.brier - 0.02
    assert evaluation.model.log_loss < evaluation.raw_share.log_loss - 0.1
    assert evaluation.all_reports_model.brier < evaluation.all_reports_base_rate.brier
    assert evaluation.all_reports_model.log_loss < evaluation.all_reports_base_rate.log_loss


def test_what_is_predicted_happens_to_within_five_points_in_every_class(evaluation):
    assert len(evaluation.reliability) == 5
    for _, _, count, predicted, inside in evaluation.reliability:
        assert count > 100
        assert inside == pytest.approx(predicted, abs=0.05)


def test_no_report_is_given_anything_near_certainty(script, reports):
    predicted = script.predict(MODEL, reports)
    assert 0.4 < predicted.min() < predicted.max() < 0.9

"""The order of a list of analyses."""

from dataclasses import replace

from ivcrush.application.ranking import ranked
from ivcrush.domain.analysis import VrpResult
from ivcrush.domain.errors import Ok
from ivcrush.domain.types import Ticker
from tests.unit.infrastructure.database.snapshots import ibm_analysis


def answer(ticker, score=None, *, tradeable=False):
    made = ibm_analysis()
    request = replace(made.snapshot.request, ticker=Ticker(ticker))
    vrp = made.vrp if score is None else Ok(VrpResult(1.0, 1.0, 1.0, (0.8, 1.2), 0.5, 0.5, 0.5, score, 2.0, 12))
    return replace(made, snapshot=replace(made.snapshot, request=request), vrp=vrp, tradeable=tradeable)


def names(*analyses):
    return [analysis.ticker for analysis in ranked(analyses)]


def test_tradeable_answers_come_first_whatever_their_score():
    assert names(answer("A", 9.0), answer("B", -1.0, tradeable=True)) == ["B", "A"]


def test_the_better_edge_score_comes_first():
    assert names(answer("A", 0.5), answer("B", 2.0), answer("C", -0.5)) == ["B", "A", "C"]


def test_answers_without_a_ratio_come_last():
    assert names(answer("A"), answer("B", -99.0)) == ["B", "A"]


def test_equals_are_in_the_order_of_their_names():
    assert names(answer("C", 1.0), answer("A", 1.0), answer("B"), answer("AA")) == ["A", "C", "AA", "B"]

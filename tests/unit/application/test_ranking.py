"""The order of a list of answers."""

from dataclasses import replace

import msgspec

from ivcrush.application.documents import analysis_document
from ivcrush.application.ranking import Answer, ranked
from ivcrush.application.ranking import answer as read
from ivcrush.domain.analysis import VrpResult
from ivcrush.domain.errors import Ok
from tests.unit.infrastructure.database.snapshots import ibm_analysis


def answer(ticker, score=None, *, tradeable=False):
    return Answer(ticker, tradeable, score, b"")


def names(*answers):
    return [answer.ticker for answer in ranked(answers)]


def test_tradeable_answers_come_first_whatever_their_score():
    assert names(answer("A", 9.0), answer("B", -1.0, tradeable=True)) == ["B", "A"]


def test_the_better_edge_score_comes_first():
    assert names(answer("A", 0.5), answer("B", 2.0), answer("C", -0.5)) == ["B", "A", "C"]


def test_answers_without_a_ratio_come_last():
    assert names(answer("A"), answer("B", -99.0)) == ["B", "A"]


def test_equals_are_in_the_order_of_their_names():
    assert names(answer("C", 1.0), answer("A", 1.0), answer("B"), answer("AA")) == ["A", "C", "AA", "B"]


def test_an_answer_is_read_from_its_document():
    vrp = Ok(VrpResult(1.0, 1.0, 1.0, (0.8, 1.2), 0.5, 0.5, 0.5, 1.25, 2.0, 12))
    rich = msgspec.json.encode(analysis_document(replace(ibm_analysis(), vrp=vrp, tradeable=True)))
    assert read(rich) == Answer("IBM", tradeable=True, edge_score=1.25, document=rich)
    assert read(rich, 90.0) == Answer("IBM", tradeable=True, edge_score=1.25, document=rich, age_s=90.0)
    plain = msgspec.json.encode(analysis_document(ibm_analysis()))
    assert read(plain).edge_score is None

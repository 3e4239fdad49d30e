"""What makes the numbers themselves doubtful: with one of these flags nothing is called tradeable.

Names and words for people, and nothing that computes: who only shows them loads no calculator.
"""

from types import MappingProxyType
from typing import Final

DOUBTS: Final = MappingProxyType(
    {
        "session_unknown": "the session of the report is unknown",
        "report_on_closed_day": "the report date is a day on which the exchange is closed: an estimate",
        "date_conflict": "sources name different report dates",
        "date_not_in_calendar": "the calendar names another date near the one given",
        "earlier_report_inside": "the calendar names an earlier report, which the straddle holds too",
        "history_not_fetched": "past moves could not be fetched",
        "calendar_not_refreshed": "the stored report date could not be checked again",
        "event_date_suspect": "the options expect the event in another expiration than the calendar says",
        "event_variance_not_significant": "the options hardly price an event",
        "term_structure_misfit": "the expirations contradict one another",
        "parity_inconsistent_with_other_expiries": "calls and puts of an expiration disagree with the stock's price",
        "spot_disagrees_with_options": "the stock's quote and the options are not of one moment",
        "atm_iv_imprecise": "the quotes at the money are too wide or too few",
        "atm_extrapolated": "no strike lies on one side of the stock's price",
        "many_outlier_quotes": "many quotes contradict their neighbours",
        "single_expiry_uses_prior_ambient": "only one expiration: ordinary volatility is taken from the past",
        "host_clock_off": "this machine's clock is off",
    }
)

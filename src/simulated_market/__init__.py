"""A seeded stock and option market that answers like Tradier and Alpha Vantage on a loopback socket.

Everything it says is invented, labelled simulated, and known: `World.truth` holds the right answers. It imports nothing
of the program it serves.
"""

from simulated_market.application import LogEntry
from simulated_market.events import ComingSplit, Events, MovedReport
from simulated_market.market import SimulatedMarket
from simulated_market.switches import FaultRule, Switches
from simulated_market.truth import PastMove, Truth
from simulated_market.world import World

__all__ = [
    "ComingSplit",
    "Events",
    "FaultRule",
    "LogEntry",
    "MovedReport",
    "PastMove",
    "SimulatedMarket",
    "Switches",
    "Truth",
    "World",
]

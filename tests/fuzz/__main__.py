"""`python -m tests.fuzz`: a million broken texts for everything that reads what others wrote.

Prints the seed and the counts; `--seed S --case N` runs one of them again. Exit code 1 for any failure, and where the
time ended before the cases did.
"""

import argparse
import secrets
import sys
import time
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.targets import scratch, targets


def main() -> int:
    """The exit code: 0 where all cases ran and none failed."""
    options = _parser().parse_args()
    began = time.monotonic()
    campaign = Campaign(options.seed)
    with scratch() as directory:
        known = targets(Path(directory))
        if options.case is not None:
            names = list(known)
            campaign.case(known, names[options.case % len(names)], options.case)
        else:
            campaign.run(known, options.cases, options.limit)
    for failure in campaign.failures:
        sys.stdout.write(f"{failure}\n")
    for name, count in campaign.cases.items():
        sys.stdout.write(f"{name}: {count} cases, {campaign.accepted.get(name, 0)} read\n")
    made = sum(campaign.cases.values())
    sys.stdout.write(
        f"{made} cases, {len(campaign.failures)} failures, {time.monotonic() - began:.0f} s, seed {options.seed}\n"
    )
    return int(bool(campaign.failures) or (options.case is None and made < options.cases))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="how many (1,000,000)")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds after which no more are begun (3600)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="what the texts come from")
    parser.add_argument("--case", type=int, help="this one case of the seed alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())

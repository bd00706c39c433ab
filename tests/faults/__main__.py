"""`make faults`: every fault of tests/faults/faults.py, on the probe domain. Takes several minutes.

`make faults WHERE=NAME` runs tests/NAME/faults/, the faults of a domain of the service, and WHERE=cluster breaks the
cluster.
"""

import sys

from tests.faults.crowds import idle_and_slow_connections
from tests.faults.faults import FAULTS
from tests.faults.program import Program
from tests.faults.site import PROBE

if __name__ == "__main__":
    sys.exit(Program(PROBE, FAULTS, [idle_and_slow_connections]).run("tests.faults"))

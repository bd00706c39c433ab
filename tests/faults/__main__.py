"""`make faults`: every fault of tests/faults/faults.py, on the probe domain. Takes about eight minutes.

WHERE=cluster breaks the cluster. The tests of a domain may have faults of their own, in a folder `faults`.
"""

import sys

from tests.faults.crowds import idle_and_slow_connections
from tests.faults.faults import FAULTS
from tests.faults.program import Program
from tests.faults.site import PROBE

if __name__ == "__main__":
    sys.exit(Program(PROBE, FAULTS, [idle_and_slow_connections]).run("tests.faults"))

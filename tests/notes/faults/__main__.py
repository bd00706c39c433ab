"""`make faults WHERE=notes`: what `make faults` does, on the service with notes, and a crowd of subscribers."""

import sys

from tests.faults.crowds import idle_and_slow_connections
from tests.faults.program import Program
from tests.notes.faults.faults import FAULTS, NOTES
from tests.notes.faults.subscribers import subscribers

if __name__ == "__main__":
    sys.exit(Program(NOTES, FAULTS, [idle_and_slow_connections, subscribers]).run("tests.notes.faults"))

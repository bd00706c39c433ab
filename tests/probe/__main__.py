"""`python -m tests.probe`: the service with the probe domain as its only one."""

import sys

from service.__main__ import main
from tests.probe import things

if __name__ == "__main__":
    sys.exit(main(domains=(things.DOMAIN,)))

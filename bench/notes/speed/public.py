"""`python -m bench.notes.speed.public URL`: the service with public notes, on a database whose notes are public."""

import os
import sys
from dataclasses import replace

from service import pages
from service.__main__ import main
from service.domains.notes import DOMAIN

if __name__ == "__main__":
    os.environ["SERVICE_DATABASE_URL"] = sys.argv.pop()
    sys.exit(main(domains=(replace(DOMAIN, owned=False), pages.DOMAIN)))

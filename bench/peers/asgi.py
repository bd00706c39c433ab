"""The service itself, for `hypercorn --reload` and `uvicorn --reload`."""

import os

from service.app import create_app
from service.settings import load
from workbench.reload.code import read, version

app = create_app(load({**os.environ, "SERVICE_VERSION": version(read())})).api

"""The routes that a load needs, whatever it creates, for `flask --debug` and without a database."""

import hashlib
import itertools
from pathlib import Path

from flask import Flask, Response, jsonify

VERSION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]

app = Flask(__name__)
numbers = itertools.count(1)


@app.get("/")
@app.get("/<path:collection>")
def read(collection: str = "") -> Response:
    return jsonify(service="flask", version=VERSION)


@app.post("/<path:collection>")
def create(collection: str) -> tuple[Response, int, dict[str, str]]:
    number = next(numbers)
    return jsonify(id=number), 201, {"location": f"/{collection}/{number}"}


@app.after_request
def say_version(response: Response) -> Response:
    response.headers["x-service-version"] = VERSION
    return response

"""kubectl of the tests of the gateway's certificate: a cluster with a gateway, and perhaps with cert-manager.

The folder has the certificates `old.crt` and `new.crt`, and `state.json`. A gateway serves a changed Secret only when it
is asked for the second time.
"""

import json
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

STATE = "state.json"


def main(folder: Path, line: list[str]) -> int:
    state: dict[str, Any] = json.loads((folder / STATE).read_text())
    arguments = [argument for argument in line if not argument.startswith("--") or "=" in argument]
    verb = next(word for word in ("get", "patch", "apply", "exec", "rollout") if word in arguments)
    rest = arguments[arguments.index(verb) + 1 :]
    state["calls"].append([verb, *rest])
    answer: object = None
    match [verb, *rest]:
        case ["get", "crd", *_]:
            answer = {"kind": "CustomResourceDefinition"} if state["managed"] else None
        case ["get", "certificates.cert-manager.io", *_]:
            answer = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        case ["get", "secret", *_]:
            answer = {"data": {"tls.crt": b64encode(state["stored"].encode()).decode()}}
        case ["get", "pods", *_]:
            answer = {"items": [{"metadata": {"name": "gateway-1"}}]}
        case ["patch", "certificates.cert-manager.io", *_]:
            state["stored"] = (folder / "new.crt").read_text()
        case ["patch", "secret", *_]:
            state["sent"] = json.load(sys.stdin)
        case ["apply", *_]:
            [item] = json.load(sys.stdin)["items"]
            state["stored"] = b64decode(item["data"]["tls.crt"]).decode()
        case ["exec", *_]:
            number = state["served"]
            answer = {"certificates": [{"cert_chain": [{"serial_number": number}]}, {"cert_chain": []}]}
            state["served"] = state["next"]
    (folder / STATE).write_text(json.dumps(state))
    if answer is not None:
        sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

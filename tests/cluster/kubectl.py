"""kubectl of these tests: a program that keeps the objects of a cluster in a file, and runs `exec` on this machine.

The file STATE is {"objects": [...], "refused": [...]}. A call that contains one of the words in `refused` fails. Each
call is a line of CALLS. New Clusters are healthy, and new Backups complete.

Like the kubelet, it brings a changed Secret into the pods of the service only after a while: with the second look
into them. Like CloudNativePG, it sets the password of a role when the Secret of the role is applied. At each call, it
tries whether one of the passwords that the pods have is accepted, as the service would; if none is, it writes
`locked-out`.

`proxy` answers merge patches, deletions and watches. Like CloudNativePG, it takes the label from a primary that is no
longer the target, and promotes the target when the old one's pod has gone, unless "promotion" is refused.
"""

import json
import os
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

STATE = Path("cluster.json")
CALLS = Path("calls.jsonl")
READY = {"conditions": [{"type": "Ready", "status": "True"}], "readyInstances": 3, "instances": 3, "phase": "healthy"}
DONE = {"phase": "completed", "startedAt": "2026-11-28T09:00:00Z", "stoppedAt": "2026-11-28T09:01:00Z"}


def main(folder: Path, arguments: list[str]) -> int:
    state = json.loads((folder / STATE).read_text())
    while arguments[0] in ("--context", "--namespace"):
        del arguments[:2]
    verb, *rest = arguments
    sent = sys.stdin.read() if verb in ("apply", "patch", "replace") else ""
    with (folder / CALLS).open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if word := next((word for word in state.get("refused", ()) if word in " ".join(arguments)), None):
        sys.stderr.write(f"error: {word} is refused\n")
        return 1
    _try_the_passwords(folder, state)
    if verb == "proxy":
        _serve(folder, rest[0].partition("=")[2])
    options = dict(option[2:].partition("=")[::2] for option in rest if option.startswith("--"))
    names = [argument for argument in rest if not argument.startswith("--")]
    match verb:
        case "exec" if "--container=service" in rest:
            secret = _find(state["objects"], "secret", "database") or {}
            state["looks"] = state.get("looks", 0) + 1
            if state["looks"] > 1:
                state["files"] = secret["data"]
            file = state["files"].get(Path(arguments[-1]).name)
            sys.stdout.write(sha256(b64decode(file)).hexdigest() if file else "")
        case "exec" if _is_fenced(state["objects"], names[0]):
            sys.stderr.write("psql: error: connection to server failed\n\tIs the server running locally?\n")
            return 1
        case "exec":
            command = arguments[arguments.index("--") + 1 :]
            os.execvp(command[0], command)  # noqa: S606 - psql
        case "get" if len(names) == 2:
            found = _find(state["objects"], *names)
            sys.stdout.write(json.dumps(found) if found else "")
        case "get":
            selector = [part.split("=") for part in options.get("selector", "").split(",") if part]
            items = [item for item in state["objects"] if _kind(item) == _singular(names[0])]
            sys.stdout.write(json.dumps({"items": [item for item in items if _matches(item, selector)]}))
        case "apply":
            given = json.loads(sent)
            for item in given.get("items", [given]):
                name = item["metadata"]["name"]
                statuses = {"Cluster": READY | {"currentPrimary": f"{name}-1"}, "Backup": DONE}
                item.setdefault("status", statuses.get(item["kind"], {}))
                state["objects"].append(item)
                if item.get("type") == "kubernetes.io/basic-auth":
                    _set_password(**{key: b64decode(value).decode() for key, value in item["data"].items()})
                if item["kind"] == "Cluster":
                    state["objects"].append(primary(name))
        case "replace":
            given = json.loads(sent)
            state["objects"].remove(_find(state["objects"], given["kind"].lower(), given["metadata"]["name"]))
            state["objects"].append(given)
        case "patch":
            item = _find(state["objects"], *names)
            if item is None:
                sys.stderr.write(f"Error from server (NotFound): {' '.join(names)} not found\n")
                return 1
            patch = json.loads(options.get("patch") or sent)
            if _kind(item) in ("pooler", "scheduledbackup") and "cluster" in patch.get("spec", {}):
                sys.stderr.write("Invalid value: cluster reference is immutable after creation\n")
                return 1
            _merge(item, patch)
    (folder / STATE).write_text(json.dumps(state))
    return 0


def _serve(folder: Path, socket: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            state, patch = self._state(), json.loads(self.rfile.read(int(self.headers["content-length"])))
            found = self._item(state)
            _merge(found, patch)
            if "targetPrimary" in patch.get("status", {}):
                old = _find(state["objects"], "pod", found["status"]["currentPrimary"])
                assert old is not None
                old["metadata"]["labels"]["cnpg.io/instanceRole"] = "unhealthy"
            self._keep(state, found)

        def do_DELETE(self) -> None:
            state = self._state()
            if "deletion" in state.get("refused", ()):
                self._answer({"kind": "Status", "message": "pods is forbidden"}, 403)
                return
            found = self._item(state)
            state["objects"].remove(found)
            for cluster in state["objects"]:
                target = cluster.get("status", {}).get("targetPrimary")
                if target and "promotion" not in state.get("refused", ()):
                    _psql("SELECT pg_promote()")
                    cluster["status"]["currentPrimary"] = target
            self._keep(state, found)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            name = parse_qs(url.query)["fieldSelector"][0].partition("=")[2]
            item = _find(self._state()["objects"], url.path.rpartition("/")[2], name)
            self._answer({"type": "ADDED", "object": item})

        def _state(self) -> Object:
            state: Object = json.loads((folder / STATE).read_text())
            return state

        def _item(self, state: Object) -> Object:
            *_, kind, name = self.path.removesuffix("/status").split("/")
            item = _find(state["objects"], kind, name)
            assert item is not None
            return item

        def _keep(self, state: Object, item: Object) -> None:
            (folder / STATE).write_text(json.dumps(state))
            self._answer(item)

        def _answer(self, item: Object, status: int = 200) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(item).encode() + b"\n")

        def log_message(self, format: str, *_: object) -> None:
            """A Unix socket has no address to log."""

    with ThreadingUnixStreamServer(socket, Handler) as server:
        sys.stdout.write(f"Starting to serve on {socket}\n")
        sys.stdout.flush()
        server.serve_forever()


def _try_the_passwords(folder: Path, state: Object) -> None:
    if "files" in state:
        found = [
            b64decode(file).decode() for key, file in state["files"].items() if key.startswith("app-rw-password")
        ]
        if not any(map(_logs_in, found)):
            (folder / "locked-out").touch()


def _logs_in(password: str) -> bool:
    command = (
        "psql",
        "--host=127.0.0.1",
        "--username=app_rw",
        "--dbname=app",
        "--no-psqlrc",
        "--no-password",
        "-cSELECT",
    )
    environment = os.environ | {"PGPASSWORD": password}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def _set_password(username: str, password: str) -> None:
    _psql(f"ALTER ROLE {username} PASSWORD '{password}'")


def _psql(statement: str) -> None:
    subprocess.run(("psql", "--dbname=app", "--quiet", "--no-psqlrc"), input=statement.encode(), check=True)


def _is_fenced(objects: list[Object], pod: str) -> bool:
    found = _find(objects, "pod", pod) or {"metadata": {}}
    cluster = _find(objects, "cluster", found["metadata"].get("labels", {}).get("cnpg.io/cluster", ""))
    return "cnpg.io/fencedInstances" in (cluster or found)["metadata"].get("annotations", {})


def primary(cluster: str) -> Object:
    labels = {"cnpg.io/cluster": cluster, "cnpg.io/instanceRole": "primary", "cnpg.io/podRole": "instance"}
    return {"kind": "Pod", "metadata": {"name": f"{cluster}-1", "labels": labels}}


def _singular(kind: str) -> str:
    return kind.partition(".")[0].removesuffix("s")


def _kind(item: Object) -> str:
    return str(item["kind"]).lower()


def _find(objects: list[Object], kind: str, name: str) -> Object | None:
    found = (item for item in objects if (_kind(item), item["metadata"]["name"]) == (_singular(kind), name))
    return next(found, None)


def _matches(item: Object, selector: list[list[str]]) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, value in selector)


def _merge(item: Object, patch: Object) -> None:
    for name, value in patch.items():
        if isinstance(value, dict):
            _merge(item.setdefault(name, {}), value)
        elif value is None:
            item.pop(name, None)
        else:
            item[name] = value


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

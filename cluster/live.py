"""`make live WHERE=cluster`: the same as workbench/live.py, for the pods of `tilt up`."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cluster.kubectl import REPLICAS, ClusterError, command, get
from workbench import live
from workbench.errors import WorkbenchError
from workbench.reload.verdict import Verdict, decode

FILE = "/tmp/verdict.json"  # noqa: S108 - in the container; the Dockerfile sets it

EVERY = 0.3  # s; each question starts a process in each pod


def of_cluster() -> dict[str, Verdict]:
    """The verdicts of the pods, without those that are being deleted. Raises WorkbenchError if there is no pod."""
    try:
        pods = [pod for pod in get("pods", REPLICAS) if "deletionTimestamp" not in pod["metadata"]]
        if not pods:
            raise ClusterError("no replica of the service runs: start it with `tilt up`")
        with ThreadPoolExecutor() as several:
            return dict(several.map(_verdict, pods))
    except ClusterError as error:
        raise WorkbenchError(str(error)) from error


def _verdict(pod: dict[str, Any]) -> tuple[str, Verdict]:
    """A pod has written none while it starts, or if its image does not reload: then nothing serves."""
    name = pod["metadata"]["name"]
    line = command("exec", name, "--container=service", "--", "cat", FILE)
    return name, decode(subprocess.run(line, capture_output=True, text=True, check=False).stdout)


if __name__ == "__main__":
    sys.exit(live.main(of_cluster, every=EVERY))

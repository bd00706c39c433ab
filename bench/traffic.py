"""`make load`: sends a load to an ingress and prints one line a second. Exit status 1 if a request failed.

The load is steady, or changes in steps: `--rate 25,50,100,50,25 --seconds 60` takes five minutes, and shows what an
autoscaler makes of it.

Half of the requests are POST, so it creates members of a collection; target.py says of which one. If the ingress has
users, they are requests of the first one.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

from bench.target import CannotCreate, find_target
from harness.sign_in import to_ingress
from harness.steady_load import Answer, loaded
from workbench.errors import WorkbenchError


async def main(url: str, rates: Sequence[float], seconds: int) -> int:
    port = urlsplit(url).port
    if port is None:
        sys.stderr.write(f"make load: --url {url} has no port: add one, for example http://localhost:8080\n")
        return 2
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    except OSError as error:
        sys.stderr.write(
            f"make load: cannot connect to {url} ({error.strerror}): start it with `make dev` or `tilt up`\n"
        )
        return 1
    try:
        target = await find_target(url, await asyncio.to_thread(to_ingress, url))
    except (CannotCreate, WorkbenchError) as error:
        sys.stderr.write(f"make load: {error}\n")
        return 2
    sys.stdout.write(f"{', '.join(f'{rate:g}' for rate in rates)} requests/s: {target}\n")
    if target.why_only_reads:
        sys.stderr.write(f"make load: {target.why_only_reads}\n")
    async with loaded(target.load(port, rates[0])) as load:
        begin = second = 0
        for rate in rates:
            load.rate = rate
            for _ in range(seconds):
                await asyncio.sleep(1)  # one line a second
                second += 1
                sys.stdout.write(f"{second:4} s  {summary(load.answers[begin:])}\n")
                sys.stdout.flush()
                begin = len(load.answers)
    sys.stdout.write(f"total   {summary(load.answers)}\n")
    return 1 if load.failures else 0


def steps(text: str) -> list[float]:
    """The rates of `25,50,25`. Raises ValueError."""
    rates = [float(rate) for rate in text.split(",")]
    if min(rates) <= 0:
        raise ValueError(text)
    return rates


def summary(answers: Sequence[Answer]) -> str:
    """The number of answers, their times, and the replicas that gave them."""
    times = sorted((answer.ended - answer.begun) * 1000 for answer in answers)
    if not times:
        return "no answer"
    failed = Counter(answer.status or "no answer" for answer in answers if answer.failed)
    replicas = Counter(f"{answer.instance} {answer.version}" for answer in answers if answer.instance)
    return "  ".join(
        [
            f"{len(answers)} requests, {failed.total()} failed",
            *(f"{count}x {status}" for status, count in failed.items()),
            f"p50 {times[len(times) // 2]:.0f}, p95 {times[int(len(times) * 0.95)]:.0f}, max {times[-1]:.0f} ms",
            *(f"{name}: {count}" for name, count in sorted(replicas.items())),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.traffic")
    parser.add_argument(
        "--url", default="http://localhost:8080", help="URL of the ingress on this machine; default: %(default)s"
    )
    parser.add_argument(
        "--rate",
        type=steps,
        default=[50.0],
        help="requests a second, or several of these, such as 25,50,25; default: 50",
    )
    parser.add_argument("--seconds", type=int, default=60, help="duration of each rate; default: %(default)s")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.url, chosen.rate, chosen.seconds)))

"""Requests generated from /openapi.json, also in sequences, sent straight to the service's port; and random noise."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.site import Site
from tests.ingress.notes import create
from workbench.machine.folders import ROOT

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "5"


def port_of(site: Site) -> int:
    return site.stack.replicas[0].api_port


async def test_answers_are_as_described_without_the_ingress(workbench: Site, tmp_path: Path) -> None:
    """Runs all phases: each operation alone, and sequences of operations that use what earlier ones created."""
    through_ingress = (ROOT / "tests" / "ingress" / "schemathesis.toml").read_text()
    assert "stateful.enabled = false" in through_ingress
    config = tmp_path / "schemathesis.toml"
    config.write_text(through_ingress.replace("stateful.enabled = false", "stateful.enabled = true"))
    url = f"http://127.0.0.1:{port_of(workbench)}"
    async with httpx.AsyncClient(base_url=url) as client:
        note = await create(client, "generated")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", config),
            *("run", f"{url}/openapi.json", "--max-examples", EXAMPLES, "--no-color"),
            cwd=ROOT,
            env=os.environ | {"NOTE_ID": note["id"]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        await client.delete(f"/notes/{note['id']}")

    assert process.returncode == 0, output
    assert "(disabled)" not in output, output


_tokens = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"(),/:;<=>?@[\\]{}'),
    min_size=1,
    max_size=20,
)
_values = st.binary(max_size=200).map(lambda text: bytes(byte for byte in text if byte >= 32 and byte != 127).strip())
_framing = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te"}
_requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]) | _tokens,
        "path": st.sampled_from(
            ["/", "/notes", "/notes/import", "/notes/export", "/openapi.json", "/docs", "/static/x"]
        )
        | st.binary(max_size=100).map(lambda tail: "/notes/" + "".join(f"%{byte:02x}" for byte in tail))
        | _tokens.map("/{}".format),
        "query": st.just("")
        | st.binary(max_size=50).map(lambda text: "?" + "".join(f"%{byte:02x}" for byte in text)),
        "headers": st.dictionaries(_tokens.filter(lambda name: name.lower() not in _framing), _values, max_size=5),
        "body": st.binary(max_size=2000),
    }
)


async def test_noise_gets_a_client_error_and_harms_nothing(workbench: Site) -> None:
    """Sends noise to the ingress and to the service. In a thread, because Hypothesis calls synchronous functions."""
    urls = [workbench.url, f"http://127.0.0.1:{port_of(workbench)}"]
    pids = [replica.part.pid for replica in workbench.stack.replicas if replica.part]

    def check() -> None:
        with httpx.Client(timeout=30) as client:

            @settings(
                max_examples=100,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(_requests)
            def request(noise: dict[str, object]) -> None:
                for url in urls:
                    answer = client.request(
                        str(noise["method"]),
                        f"{url}{noise['path']}{noise['query']}",
                        headers={k.encode(): v for k, v in noise["headers"].items()},  # type: ignore[attr-defined]
                        content=noise["body"],  # type: ignore[arg-type]
                    )
                    assert answer.status_code < 500 or answer.status_code == 501, answer.text
                    assert "Traceback" not in answer.text

            request()

    await asyncio.to_thread(check)
    assert [replica.part.pid for replica in workbench.stack.replicas if replica.part] == pids

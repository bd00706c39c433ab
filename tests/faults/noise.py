"""Random requests, the same ones in each run."""

import asyncio
from collections.abc import Sequence

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.site import Site

_tokens = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"(),/:;<=>?@[\\]{}'),
    min_size=1,
    max_size=20,
)
_values = st.binary(max_size=200).map(lambda text: bytes(byte for byte in text if byte >= 32 and byte != 127).strip())
_framing = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te"}


def _encoded(text: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in text)


def _requests(collection: str, paths: Sequence[str]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {
            "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
            | _tokens,
            "path": st.sampled_from(paths)
            | st.binary(max_size=100).map(lambda tail: f"{collection}/{_encoded(tail)}")
            | _tokens.map("/{}".format),
            "query": st.just("") | st.binary(max_size=50).map(lambda text: f"?{_encoded(text)}"),
            "headers": st.dictionaries(
                _tokens.filter(lambda name: name.lower() not in _framing), _values, max_size=5
            ),
            "body": st.binary(max_size=2000),
        }
    )


async def noise_harms_nothing(site: Site, *more: str) -> None:
    """Sends noise to the ingress and to the service: to the collection, to the paths `more`, and to random ones.

    Every answer is a client error or a success, and no replica ends.
    """
    stack, collection = site.stack, site.collection.path
    doors = [(site.url, site.user), (f"http://127.0.0.1:{stack.replicas[0].api_port}", site.service_user)]
    paths = ["/", collection, f"{collection}/import", f"{collection}/export", "/openapi.json", *more]
    pids = [replica.part.pid for replica in stack.replicas if replica.part]

    def check() -> None:
        with httpx.Client(timeout=30) as client:

            @settings(
                max_examples=100,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(_requests(collection, paths))
            def request(noise: dict[str, object]) -> None:
                for url, user in doors:
                    answer = client.request(
                        str(noise["method"]),
                        f"{url}{noise['path']}{noise['query']}",
                        headers={k.encode(): v for k, v in noise["headers"].items()},  # type: ignore[attr-defined]
                        content=noise["body"],  # type: ignore[arg-type]
                        auth=user,
                    )
                    assert answer.status_code < 500 or answer.status_code == 501, answer.text
                    assert "Traceback" not in answer.text

            request()

    await asyncio.to_thread(check)  # because Hypothesis calls synchronous functions
    assert [replica.part.pid for replica in stack.replicas if replica.part] == pids

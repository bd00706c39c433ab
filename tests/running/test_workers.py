"""Which file a worker runs next."""

from tests.running.workers import choose


def test_the_files_of_a_folder_stay_with_the_worker_that_has_begun_it() -> None:
    files = dict.fromkeys(["tests/page/test_b.py", "tests/docs/test_a.py", "tests/page/test_a.py"])

    assert choose(files, "tests/docs", {"tests/page"}) == "tests/docs/test_a.py"


def test_a_folder_that_no_other_worker_has_begun_comes_first() -> None:
    files = dict.fromkeys(["tests/page/test_a.py", "tests/docs/test_a.py"])

    assert choose(files, "tests/k8s", {"tests/page"}) == "tests/docs/test_a.py"
    assert choose(files, "tests/k8s", {"tests/page", "tests/docs"}) == "tests/page/test_a.py"


def test_what_takes_long_comes_before_the_rest() -> None:
    files = dict.fromkeys(["tests/docs/test_a.py", "tests/berths/page/test_a.py"])

    assert choose(files, None, set()) == "tests/berths/page/test_a.py"

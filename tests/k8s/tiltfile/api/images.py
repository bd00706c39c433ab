"""Images, and what a save copies into their containers."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.declared import Declared, FallBackOn, Image, Sync, TiltfileError
from tests.k8s.tiltfile.values import Functions, Strings, as_strings, opaque


class Images:
    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    def functions(self) -> Functions:
        return {
            "docker_build": self._docker_build,
            "sync": self._sync,
            "fall_back_on": self._fall_back_on,
        }

    def _docker_build(
        self,
        ref: str,
        context: str,
        build_args: Mapping[str, str] | None = None,
        dockerfile: str = "Dockerfile",
        dockerfile_contents: str | Blob = "",
        live_update: Sequence[Any] = (),
        match_in_env_vars: bool = False,
        ignore: Strings = "",
        only: Strings = (),
        entrypoint: Strings = "",
        target: str = "",
        ssh: Strings = "",
        network: str = "",
        secret: Strings = "",
        extra_tag: Strings = "",
        container_args: list[str] | None = None,
        cache_from: Strings = "",
        pull: bool = False,
        platform: str = "",
        extra_hosts: Strings = "",
    ) -> None:
        if ref in self._declared.images:
            raise TiltfileError(f"Image for ref {ref!r} has already been defined")
        steps = tuple(live_update)
        if not all(isinstance(step, Sync | FallBackOn) for step in steps):
            raise TiltfileError(f"{ref}: live_update takes steps, not {steps}")
        kinds = [isinstance(step, Sync) for step in steps]
        if kinds != sorted(kinds):
            raise TiltfileError(f"{ref}: fall_back_on comes before sync")
        args = build_args or {}
        as_strings(list(args.values()))
        self._declared.images[ref] = Image(
            ref,
            self._declared.note(context),
            self._declared.note(dockerfile),
            target,
            tuple(as_strings(only)),
            args,
            tuple(filter(None, as_strings(secret))),
            steps,
        )

    def _sync(self, local_path: str, remote_path: str) -> Any:
        if not remote_path.startswith("/"):
            raise TiltfileError(f"sync destination {remote_path!r} is not absolute")
        return opaque(Sync(self._declared.note(local_path), remote_path))

    def _fall_back_on(self, paths: Strings) -> Any:
        return opaque(FallBackOn(tuple(self._declared.note(path) for path in as_strings(paths))))

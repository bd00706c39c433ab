"""Settings of Tilt itself."""

from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.values import Functions, Strings, as_strings


class Settings:
    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    def functions(self) -> Functions:
        return {
            "allow_k8s_contexts": self._allow_k8s_contexts,
            "version_settings": self._version_settings,
            "analytics_settings": self._analytics_settings,
            "ci_settings": self._ci_settings,
            "update_settings": self._update_settings,
        }

    def _allow_k8s_contexts(self, contexts: Strings) -> None:
        self._declared.contexts += as_strings(contexts)

    def _version_settings(self, check_updates: bool = True, constraint: str = "") -> None:
        self._declared.settings["version"] = {"check_updates": check_updates, "constraint": constraint}

    def _analytics_settings(self, enable: bool) -> None:
        self._declared.settings["analytics"] = {"enable": enable}

    def _ci_settings(self, k8s_grace_period: str = "", timeout: str = "30m", readiness_timeout: str = "5m") -> None:
        self._declared.settings["ci"] = {"timeout": timeout, "readiness_timeout": readiness_timeout}

    def _update_settings(
        self,
        max_parallel_updates: int = 3,
        k8s_upsert_timeout_secs: int = 30,
        suppress_unused_image_warnings: Strings | None = None,
        k8s_server_side_apply: str = "auto",
    ) -> None:
        self._declared.settings["update"] = {
            "max_parallel_updates": max_parallel_updates,
            "k8s_upsert_timeout_secs": k8s_upsert_timeout_secs,
        }

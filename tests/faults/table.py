"""The figures of trials as a Markdown table. Unexpected answers and remarks follow the last column."""

from collections import Counter

from tests.faults.trial import Trial

HEAD = (
    "| fault, under load | for s | requests | 2xx | 503 | 504 | no answer | longest answer ms | no write for ms "
    "| recovered after ms | acknowledged | lost | twice |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)
_KINDS = ("2xx", "503", "504", "no answer")


def row(trial: Trial, seconds: float) -> str:
    verdict = trial.verdict
    others = Counter(trial.answers) - Counter({kind: trial.answers[kind] for kind in _KINDS})
    return " | ".join(
        [
            f"| {trial.name}",
            f"{seconds:g}" if seconds else "",
            f"{trial.requests:,}",
            *(f"{trial.answers[kind]:,}" for kind in _KINDS),
            f"{trial.longest * 1000:,.0f}",
            f"{trial.gap.seconds * 1000:,.0f}",
            f"{trial.recovery * 1000:,.0f}",
            f"{verdict.acknowledged:,}",
            f"{len(verdict.lost)}",
            f"{len(verdict.duplicated)} |",
        ]
    ) + "".join([*(f" {count}x {kind}!" for kind, count in others.items()), trial.remark and f" {trial.remark}"])

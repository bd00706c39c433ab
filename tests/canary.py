"""What docs/canary.md tells a person to write, for the tests of the workbench and of the cluster."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from workbench.machine.folders import INGRESS_RULES, ROOT

PAGE = ROOT / "docs" / "canary.md"


def example(begin: str) -> Any:
    """The only example of the page that begins with these words."""
    [found] = re.findall(rf"```yaml\n({re.escape(begin)}.*?)```", PAGE.read_text(), re.DOTALL)
    return yaml.safe_load(found)


def canary_rules(folder: Path, **weights: int) -> Path:
    """Copies the service's own rules into a folder and changes them as the page says. Returns the folder.

    `weights` are those of the subsets in place of the documented ones.
    """
    shutil.copytree(INGRESS_RULES, folder, dirs_exist_ok=True)
    route = example("route:")
    for to in route["route"]:
        to["weight"] = weights.get(to["destination"]["subset"], to["weight"])

    file = folder / "destinationrule.yaml"
    rule = yaml.safe_load(file.read_text())
    for subset in rule["spec"]["subsets"]:
        subset["labels"] = {"version": "stable"}
    rule["spec"]["subsets"] += example("subsets:")["subsets"]
    file.write_text(yaml.safe_dump(rule))

    file = folder / "virtualservice.yaml"
    service = yaml.safe_load(file.read_text())
    for http in service["spec"]["http"]:
        if "route" in http and "subset" not in http["route"][0]["destination"]:
            http |= route
    service["spec"]["http"][:0] = example("- name: canary")
    file.write_text(yaml.safe_dump(service))
    return folder

"""Lists the parts of an installation: this package and everything that it needs, as CycloneDX.

    python .ci/sbom.py sbom.json

Versions, licences and digests are those that are installed; the same installation gives the same
bytes.
"""

import hashlib
import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def needed(name: str, found: dict[str, Distribution]) -> None:
    """Add a distribution, and what it needs without any extra, if it is installed."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return
    try:
        found[key] = distribution(key)
    except PackageNotFoundError:  # for another platform or Python
        return
    for requirement in found[key].requires or ():
        if "extra ==" not in requirement:
            needed(_NAME.match(requirement)[0], found)


def component(name: str, held: Distribution) -> dict[str, object]:
    """Describe one distribution."""
    licence = held.metadata.get("License-Expression") or held.metadata.get("License")
    record = held.read_text("RECORD") or ""  # names every file with its digest
    digest = hashlib.sha256(record.encode()).hexdigest()
    return {
        "type": "library",
        "name": name,
        "version": held.version,
        "purl": f"pkg:pypi/{name}@{held.version}",
        "properties": [{"name": "snnbridge:installed-files-sha256", "value": digest}],
        **({"licenses": [{"license": {"name": licence.splitlines()[0]}}]} if licence else {}),
    }


def main() -> None:
    """Write the list."""
    found: dict[str, Distribution] = {}
    needed("snnbridge", found)
    own = found.pop("snnbridge")
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component("snnbridge", own)},
        "components": [component(name, found[name]) for name in sorted(found)],
    }
    Path(sys.argv[1]).write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

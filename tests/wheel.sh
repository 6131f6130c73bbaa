#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh environment and converts a fixture with it, away from
# the source tree.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$root/.venv/bin/python" -m build -q --wheel --outdir "$place/dist" "$root"
ls "$place/dist"
case "$(ls "$place/dist")" in
  *cp311-abi3*) ;;
  *) echo "expected one abi3 wheel" >&2; exit 1 ;;
esac
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q "$place"/dist/*.whl
cd "$place"
"$place/venv/bin/snnbridge" formats
"$place/venv/bin/snnbridge" convert "$root/fixtures/brainpy-2.8.2/snn.bp" snn.h5
"$place/venv/bin/snnbridge" diff "$root/fixtures/brainpy-2.8.2/snn.bp" snn.h5

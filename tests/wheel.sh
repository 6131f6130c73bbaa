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

# Plugins of strangers: the examples, as wheels of their own, and one fresh from the template.
"$place/venv/bin/snnbridge" new-plugin fresh --into "$place/snnbridge-fresh"
cp -r "$root/plugins/example" "$root/plugins/example_neuron" "$place"
for plugin in example example_neuron snnbridge-fresh; do
  "$root/.venv/bin/python" -m build -q --wheel --outdir "$place/plugins" "$place/$plugin"
done
"$place/venv/bin/pip" install -q pytest "$place"/plugins/*.whl
"$place/venv/bin/snnbridge" formats | grep -E "^(example|fresh) "
"$place/venv/bin/snnbridge" convert snn.h5 snn.example
"$place/venv/bin/snnbridge" diff snn.h5 snn.example
"$place/venv/bin/snnbridge" check-format fresh
for tests in example example_neuron snnbridge-fresh; do
  (cd "$place/$tests/tests" && "$place/venv/bin/python" -m pytest -q -p no:cacheprovider .)
done

"""Makes the first files of the corpus: what this package and the frameworks write, if small."""

import json
from pathlib import Path

from snnbridge import SNNBridgeError, write
from snnbridge.testing.samples import samples

HERE = Path(__file__).parent
FIXTURES = HERE.parents[1] / "fixtures"
MOST_BYTES = 16384
SUFFIXES = {"brainpy": ".bp", "hdf5": ".h5", "nir": ".nir", "onnx": ".onnx", "torch": ".pt",
            "safetensors": ".safetensors", "npz": ".npz", "spyx": ".msgpack",
            "rockpool": ".json"}  # fmt: skip
RECORDED = {
    "brainpy": "brainpy-*/*", "nir": "nir-*/*.nir", "onnx": "torch-onnx-*/*.onnx",
    "torch": "torch-*/*.pt", "npz": "sc-neurocore-*/*.npz", "npz-record": "sc-neurocore-*/*.json",
    "spyx": "spyx-*/*.msgpack", "rockpool": "rockpool-*/*.json", "spec-toml": "specs/*.toml",
}  # fmt: skip
STAGED = ".set.{}.0123456789abcdef.snnbtmp"
PARTS = [
    {"final": f"set.{x}", "staged": STAGED.format(x), "size": 2, "sha256": None}
    for x in ("npz", "json")
]
TEXTS = {
    "journal": [json.dumps({"version": 1, "files": PARTS})],
    "safetensors-index": ['{"metadata": {}, "weight_map": {"w": "safetensors.safetensors"}}'],
    "spec-json": ['{"dt": "1 ms", "layers": {"a": {"class": "LIF", "tau": 2.0}}}'],
    "spec-toml": ['dt = "1 ms"\n[layers.a]\nclass = "LIF"\ntau = [1.0, 2.0]\n'],
}


def written(folder):
    """Write every sample in every format; also without the digests, which are in the way."""
    for format, suffix in SUFFIXES.items():
        for name, sample in samples().items():
            path = folder / format / f"{name.replace(' ', '_')}{suffix}"
            for bare in (False, True):
                try:
                    write(sample, path, format=format, bare=bare)
                except SNNBridgeError:
                    continue
                yield format, path.read_bytes()
                if format == "npz" and path.with_suffix(".json").exists():
                    yield "npz-record", path.with_suffix(".json").read_bytes()
                if format == "hdf5":
                    yield format, unsealed(path.read_bytes())


def unsealed(data):
    """Cut the digests off that stand behind the end of an HDF5 file."""
    return data[: int.from_bytes(data[40:48], "little")]


def recorded():
    for target, pattern in RECORDED.items():
        for path in sorted(FIXTURES.glob(pattern)):
            if path.is_file():
                yield target, path.read_bytes()


def main():
    import tempfile

    seen = set()
    with tempfile.TemporaryDirectory() as folder:
        for format in SUFFIXES:
            (Path(folder) / format).mkdir()
        texts = ((target, text.encode()) for target, held in TEXTS.items() for text in held)
        for target, data in (*written(Path(folder)), *recorded(), *texts):
            if len(data) <= MOST_BYTES and (target, data) not in seen:
                seen.add((target, data))
                place = HERE / "scratch" / target
                place.mkdir(parents=True, exist_ok=True)
                (HERE / "corpus" / target).mkdir(parents=True, exist_ok=True)
                (place / f"seed-{len(seen)}").write_bytes(data)


if __name__ == "__main__":
    main()

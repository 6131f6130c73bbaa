"""Runs models in the onnxruntime of its environment: ``python judge_onnxruntime.py FOLDER``.

For each ``NAME.onnx`` the inputs and the expected outputs stand in ``NAME.npz``; what differs is
printed as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def same(found, expected):
    """Whether two arrays have one shape and the same numbers."""
    return found.shape == expected.shape and (found == expected).all()


def judge(path):
    """Return the names of the outputs that differ, or the error."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=["CPUExecutionProvider"]
        )
        with np.load(path.with_suffix(".npz")) as held:
            inputs = {k[3:]: held[k] for k in held.files if k.startswith("in:")}
            expected = {k[4:]: held[k] for k in held.files if k.startswith("out:")}
        found = dict(zip(expected, session.run(list(expected), inputs), strict=True))
    except Exception as error:  # noqa: BLE001  # its classes have no common base of their own
        return [str(error)[:300]]
    return [name for name in expected if not same(found[name], expected[name])]


if __name__ == "__main__":
    results = {path.stem: judge(path) for path in sorted(Path(sys.argv[1]).glob("*.onnx"))}
    failed = {name: found for name, found in results.items() if found}
    print(json.dumps({"version": onnxruntime.__version__, "run": len(results), "failed": failed}))

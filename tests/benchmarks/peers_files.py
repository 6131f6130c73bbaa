"""The frameworks' own save and load, as programs for their environments.

Each is run with the number of arrays, their side, its own file and the file of raw bytes, and
prints the ratios of saving to a raw write and of loading to a raw read.
"""

from __future__ import annotations

PEERS = {
    "brainpy-2.8": """
import sys, time, os, json, numpy as np, brainpy as bp
count, side, path, raw = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
tree = {f'Dense{i}': {f'Dense{i}.W': np.random.rand(side, side).astype('f4')} for i in range(count)}
save = lambda: bp.checkpoints.save_pytree(path, tree, verbose=False)
def load():
    for d in bp.checkpoints.load_pytree(path).values():
        for w in d.values(): np.asarray(w).view(np.uint8).sum(dtype=np.uint64)
arrays = [w for d in tree.values() for w in d.values()]
""",
    "sc-neurocore-3.16": """
import sys, time, os, json, numpy as np
from sc_neurocore.transfer import SNNCheckpoint, save_checkpoint, load_checkpoint
count, side, path, raw = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
arrays = [np.random.rand(side, side).astype('f4') for i in range(count)]
model = SNNCheckpoint(arrays, [f'l{i}' for i in range(count)], [(side, side)] * count)
save = lambda: save_checkpoint(model, path)
def load():
    for w in load_checkpoint(path).weights: w.view(np.uint8).sum(dtype=np.uint64)
""",
}
TAIL = """
def write_raw():
    with open(raw, 'wb', buffering=1 << 20) as f:
        for w in arrays: f.write(memoryview(w).cast('B'))
        f.flush(); os.fsync(f.fileno())
def timed(f):
    t = time.perf_counter(); f(); return time.perf_counter() - t
def read_raw(): np.fromfile(raw, np.uint8).sum(dtype=np.uint64)
save(); write_raw(); load(); read_raw()
saves = sorted(timed(save) / timed(write_raw) for _ in range(3))
loads = sorted(timed(load) / timed(read_raw) for _ in range(3))
print(json.dumps([saves[1], loads[1]]))
"""

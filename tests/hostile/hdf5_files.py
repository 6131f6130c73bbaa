"""HDF5 files of both formats that are built on it, and BrainPy's flat ones."""

import h5py
import numpy as np

from hostile import case

FORMATS = {"hdf5": ".h5", "nir": ".nir", "brainpy": ".h5"}
ONES = np.ones((2, 3), np.float32)


def hdf5_case(build):
    """Add a file for each format: what `build` adds stands beside what the format looks for."""
    for format, suffix in FORMATS.items():

        def make(folder, format=format, suffix=suffix):
            path = folder / f"net{suffix}"
            with h5py.File(path, "w") as file:
                if format == "nir":
                    file["version"] = "1.0.4"
                    node = file.create_group("node")
                    node["type"] = "NIRGraph"
                    node.create_dataset("edges", (0, 2), h5py.string_dtype())
                    node = node.create_group("nodes").create_group("w")
                    node["type"] = "Linear"
                    build(node, folder, "weight")
                else:
                    build(file, folder, "w")
            if build is unknown_filter:
                path.write_bytes(with_unknown_filter(path.read_bytes()))
            return path

        make.__name__ = build.__name__
        case(format, harmless=format == "brainpy" and build.__name__ == "aliases")(make)
    return build


def secret(folder):
    path = folder / "secret.bin"
    path.write_bytes(b"secret!!" * 3)
    return path


@hdf5_case
def external_storage(at, folder, name):
    at.create_dataset(name, (2, 3), "<f4", external=[(str(secret(folder)), 0, 24)])


@hdf5_case
def external_storage_that_is_short(at, folder, name):
    at.create_dataset(name, (20, 30), "<f4", external=[(str(secret(folder)), 0, 2400)])


@hdf5_case
def external_link(at, folder, name):
    with h5py.File(folder / "other.h5", "w") as other:
        other["w"] = ONES
    at[name] = h5py.ExternalLink("other.h5", "w")


@hdf5_case
def virtual_dataset(at, folder, name):
    with h5py.File(folder / "other.h5", "w") as other:
        other["w"] = ONES
    layout = h5py.VirtualLayout((2, 3), "<f4")
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "w", (2, 3))
    at.create_virtual_dataset(name, layout)


@hdf5_case
def virtual_dataset_without_source(at, folder, name):
    layout = h5py.VirtualLayout((2, 3), "<f4")
    layout[...] = h5py.VirtualSource(str(folder / "missing.h5"), "w", (2, 3))
    at.create_virtual_dataset(name, layout)


@hdf5_case
def soft_link(at, folder, name):
    at[name] = h5py.SoftLink("/")


@hdf5_case
def soft_link_to_nothing(at, folder, name):
    at[name] = h5py.SoftLink("/nothing")


@hdf5_case
def hard_link_cycle(at, folder, name):
    at[name] = at.create_group("inner")
    at["inner"]["again"] = at["inner"]
    at["inner"]["root"] = at


@hdf5_case
def paths_without_end(at, folder, name):
    """40 groups, each twice in the one before: 2 to the 40 paths."""
    group = at.create_group(name)
    for _ in range(40):
        inner = group.create_group("a")
        group["b"] = inner
        group = inner


@hdf5_case
def aliases(at, folder, name):
    at[name] = np.ones((256, 256))
    for i in range(40):
        at[f"alias{i}"] = at[name]


@hdf5_case
def bomb(at, folder, name):
    at.create_dataset(name, (300 << 20,), "u1", chunks=(1 << 20,), compression="gzip", fillvalue=0)[
        : 4 << 20
    ] = 0


@hdf5_case
def bomb_of_one_chunk(at, folder, name):
    data = at.create_dataset(name, (300 << 20,), "u1", chunks=(300 << 20,), compression="gzip")
    import zlib

    packed = zlib.compress(zlib.compress(bytes(1 << 20)))
    data.id.write_direct_chunk((0,), packed)


@hdf5_case
def never_allocated(at, folder, name):
    at.create_dataset(name, (1 << 40,), "<f8", chunks=(1 << 20,))


@hdf5_case
def contiguous_and_never_allocated(at, folder, name):
    at.create_dataset(name, (1 << 30,), "<f8")


@hdf5_case
def unknown_filter(at, folder, name):
    """The library would look for a plugin of that number, and run it."""
    at.create_dataset(name, data=np.zeros((16, 16)), chunks=(8, 8), compression="gzip")


def with_unknown_filter(data):
    at = data.index(b"deflate\0") - 8
    return data[:at] + (32100).to_bytes(2, "little") + data[at + 2 :]


@hdf5_case
def references(at, folder, name):
    data = at.create_dataset(name, (1,), h5py.ref_dtype)
    data[0] = at.ref


@hdf5_case
def compound(at, folder, name):
    at[name] = np.zeros(3, [("a", "<f8"), ("b", "S5")])


@hdf5_case
def nested_very_deep(at, folder, name):
    group = at.create_group(name)
    for _ in range(500):
        group = group.create_group("a")


@hdf5_case
def ragged(at, folder, name):
    data = at.create_dataset(name, (2,), h5py.vlen_dtype(np.float32))
    data[0] = [1, 2, 3]

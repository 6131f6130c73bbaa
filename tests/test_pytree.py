"""BrainPy's saving and loading functions work with another import, and without BrainPy."""

import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from snnbridge import (
    BatchNorm,
    CheckpointError,
    Connection,
    Conv2d,
    Linear,
    Neuron,
    Opaque,
    OptionError,
    ReadError,
    SNNCheckpoint,
    StateVariable,
    WriteError,
)
from snnbridge.node_trees import from_tree
from snnbridge.pytree import (
    AsyncManager,
    StateLoadResult,
    load_pytree,
    load_state,
    save_pytree,
    save_state,
)
from snnbridge.wire import pack, unpack

FIXTURES = Path(__file__).parents[1] / "fixtures"


def save(path, tree, **options):
    return save_pytree(str(path), tree, verbose=False, **options)


# Trees


def test_saving_returns_the_name_and_says_where(tmp_path, capsys):
    name = str(tmp_path / "a.bp")
    assert save_pytree(name, {"epoch": 3}) == name
    assert capsys.readouterr().out == f"Saving checkpoint into {name}\n"
    save_pytree(name, {"epoch": 3}, verbose=False)
    assert capsys.readouterr().out == ""


def test_the_name_is_taken_as_it_is_and_its_folder_made(tmp_path):
    save(tmp_path / "new" / "run", {"epoch": 3})
    assert (tmp_path / "new" / "run").read_bytes() == pack({"epoch": 3})


def test_a_tree_of_any_leaf_comes_back(tmp_path):
    Point = namedtuple("Point", "x y")
    tree = {"a": np.arange(3), "l": [1, (2.5, None)], "p": Point(True, b"\0"), 7: "seven"}
    save(tmp_path / "a.bp", tree)
    back = load_pytree(tmp_path / "a.bp")
    assert back["a"].tolist() == [0, 1, 2]
    assert back["l"] == {"0": 1, "1": {"0": 2.5, "1": None}}
    assert back["p"] == {"x": True, "y": b"\0"}
    assert back["7"] == "seven"


def test_a_frameworks_file_is_saved_again_byte_for_byte(tmp_path):
    path = FIXTURES / "brainpy-2.8.2" / "train_adam.bp"
    save(tmp_path / "a.bp", load_pytree(path))
    assert (tmp_path / "a.bp").read_bytes() == path.read_bytes()


def test_loaded_arrays_stay_while_the_file_is_replaced(tmp_path):
    save(tmp_path / "a.bp", {"w": np.arange(100_000)})
    loaded = load_pytree(tmp_path / "a.bp", parallel=False)
    save(tmp_path / "a.bp", {"w": loaded["w"] + 1})
    assert loaded["w"][-1] == 99_999
    assert not loaded["w"].flags.writeable


def test_a_file_is_replaced_on_request_only(tmp_path):
    save(tmp_path / "a.bp", {"epoch": 1})
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save(tmp_path / "a.bp", {"epoch": 2}, overwrite=False)
    assert load_pytree(tmp_path / "a.bp") == {"epoch": 1}
    save(tmp_path / "a.bp", {"epoch": 2}, overwrite=True)
    assert load_pytree(tmp_path / "a.bp") == {"epoch": 2}


def test_a_value_that_has_no_form_leaves_the_old_file(tmp_path):
    save(tmp_path / "a.bp", {"epoch": 1})
    with pytest.raises(WriteError, match="'args', 'optimizer'"):
        save(tmp_path / "a.bp", {"w": np.zeros(10**6), "args": {"optimizer": object()}})
    assert load_pytree(tmp_path / "a.bp") == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.bp"]


def test_the_newest_checkpoint_of_a_folder_is_loaded():
    assert load_pytree(FIXTURES / "brainpy-2.4.2" / "directory")["step"] == 100


def test_a_name_to_which_an_old_release_appended_its_suffix_is_found(tmp_path):
    save(tmp_path / "snn.bp", {"epoch": 3})
    assert load_pytree(tmp_path / "snn") == {"epoch": 3}


def test_a_missing_file_is_an_error_or_the_target_on_request(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_pytree(tmp_path / "a.bp")
    fresh = {"epoch": 0}
    assert load_pytree(tmp_path / "a.bp", target=fresh, missing="return target") is fresh


def test_a_damaged_file_is_a_read_error(tmp_path):
    (tmp_path / "a.bp").write_bytes(pack({"w": np.zeros(9)})[:-1])
    with pytest.raises(ReadError):
        load_pytree(tmp_path / "a.bp")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="checkpoint_<step>"):
        load_pytree(tmp_path / "empty")


# In the background


def test_a_save_in_the_background_holds_the_arrays_of_its_moment(tmp_path):
    weights = np.zeros(300_000)
    with AsyncManager() as manager:
        save(
            tmp_path / "a.bp", {"w": weights, "t": weights.reshape(3, -1).T}, async_manager=manager
        )
        weights += 1
    loaded = load_pytree(tmp_path / "a.bp")
    assert loaded["w"].max() == loaded["t"].max() == 0


def test_the_caller_goes_on_while_a_file_is_written(tmp_path):
    done = threading.Event()
    manager = AsyncManager()
    manager.save_async(done.wait)
    assert manager.save_future is not None
    done.set()
    manager.close()


def test_saves_in_the_background_follow_each_other(tmp_path):
    order = []
    first = threading.Event()

    def slow():
        first.wait()
        order.append("first")

    with AsyncManager(max_workers=4) as manager:
        manager.save_async(slow)
        threading.Timer(0.05, first.set).start()
        save(tmp_path / "a.bp", {"epoch": 2}, async_manager=manager)
        order.append("second accepted")
    assert order == ["first", "second accepted"]
    assert load_pytree(tmp_path / "a.bp") == {"epoch": 2}


def test_a_failure_in_the_background_is_raised_once_by_the_next_call(tmp_path):
    (tmp_path / "a.bp").mkdir()
    manager = AsyncManager()
    save(tmp_path / "a.bp", {"epoch": 1}, async_manager=manager)
    with pytest.raises(WriteError, match="folder"):
        manager.wait_previous_save()
    manager.wait_previous_save()
    save(tmp_path / "a.bp", {"epoch": 1}, async_manager=manager)
    with pytest.raises(WriteError, match="folder"):
        save(tmp_path / "b.bp", {"epoch": 2}, async_manager=manager)
    manager.close()
    assert not (tmp_path / "b.bp").exists()


def test_a_value_that_has_no_form_is_told_at_once(tmp_path):
    with AsyncManager() as manager, pytest.raises(WriteError):
        save(tmp_path / "a.bp", {"x": object()}, async_manager=manager)


def test_a_closed_manager_takes_no_more(tmp_path):
    manager = AsyncManager()
    manager.close()
    with pytest.raises(RuntimeError):
        save(tmp_path / "a.bp", {"epoch": 1}, async_manager=manager)


# Checkpoints


def checkpoint():
    return SNNCheckpoint(
        [
            Linear("fc", np.zeros((2, 3), np.float32), np.zeros(2, np.float32)),
            Neuron("lif", (2,), {"tau": 5.0}),
            Conv2d("conv", np.zeros((4, 1, 3, 2), np.float32), np.zeros(4, np.float32)),
            BatchNorm("norm", *(np.zeros(4) for _ in range(4))),
            Opaque("own", parameters={"alpha": np.zeros(2)}, settings={"n": 3}),
        ],
        [Connection("fc", "lif")],
        state={("lif", "v"): StateVariable(np.zeros((1, 2)), 0)},
        training={"epoch": 3},
    )


def test_the_state_of_a_checkpoint_is_that_of_a_network_of_brainpy():
    states = save_state(checkpoint())
    shapes = {key: array.shape for node in states.values() for key, array in node.items()}
    assert shapes == {
        "fc.W": (3, 2),
        "fc.b": (2,),
        "lif.V": (1, 2),
        "conv.w": (3, 2, 1, 4),
        "conv.b": (1, 1, 4),
        "norm.running_mean": (4,),
        "norm.running_var": (4,),
        "norm.bias": (4,),
        "norm.scale": (4,),
        "own.alpha": (2,),
    }
    assert list(states) == ["fc", "lif", "conv", "norm", "own"]


def test_a_checkpoint_loads_what_it_saved_and_says_that_all_fits():
    source, target = checkpoint(), checkpoint()
    states = {
        name: {key: array + i for key, array in node.items()}
        for i, (name, node) in enumerate(save_state(source).items(), 1)
    }
    assert load_state(target, states) == StateLoadResult([], [])
    assert target.layers["fc"].weight.value.tolist() == [[1, 1, 1]] * 2
    assert target.layers["conv"].weight.value.shape == (4, 1, 3, 2)
    assert target.state["lif", "v"].value.tolist() == [[2, 2]]
    assert target.state["lif", "v"].batch_axis == 0
    assert target.layers["own"].parameters["alpha"].value.tolist() == [5, 5]
    assert target.layers["lif"].parameters["tau"].value == 5.0


def test_what_is_missing_or_unexpected_is_told_as_brainpy_tells_it():
    target = checkpoint()
    states = save_state(target)
    del states["lif"], states["fc"]["fc.b"]
    states["fc"]["fc.bias"] = np.zeros(2)
    states["other"] = {"other.W": np.zeros(2)}
    states["ExponentialEuler0"] = {}
    assert load_state(target, states) == StateLoadResult(
        ["fc.fc.b", "lif"], ["fc.fc.bias", "other"]
    )


def test_an_array_of_another_shape_changes_nothing():
    target = checkpoint()
    states = save_state(target)
    states["fc"]["fc.W"] = np.ones((3, 2), np.float32)
    states["lif"]["lif.V"] = np.ones((7, 2))
    with pytest.raises(CheckpointError, match=r"'lif\.V' must have the shape \(1, 2\)"):
        load_state(target, states)
    assert target.layers["fc"].weight.value.max() == 0


def test_a_load_keeps_the_dtype_of_the_checkpoint():
    target = checkpoint()
    load_state(target, {"fc": {"fc.W": np.full((3, 2), 0.5)}})
    assert target.layers["fc"].weight.value.dtype == np.float32
    assert target.layers["fc"].weight.value.max() == 0.5


def test_a_load_says_that_it_rounds():
    target = checkpoint()
    with pytest.warns(UserWarning, match=r"'fc\.W': float64 was rounded to float32") as caught:
        load_state(target, {"fc": {"fc.W": np.full((3, 2), 0.1)}})
    assert caught[0].filename == __file__
    assert target.layers["fc"].weight.value.dtype == np.float32


def test_a_dtype_of_another_kind_changes_nothing():
    target = checkpoint()
    with pytest.raises(CheckpointError, match="must have the dtype float32, found complex128"):
        load_state(target, {"fc": {"fc.W": np.ones((3, 2), complex)}})
    assert target.layers["fc"].weight.value.max() == 0


def test_a_target_in_the_place_of_parallel_is_refused(tmp_path):
    save_pytree(tmp_path / "a.bp", {"epoch": 3}, verbose=False)
    assert load_pytree(tmp_path / "a.bp", False) == {"epoch": 3}
    with pytest.raises(OptionError, match="target="):
        load_pytree(tmp_path / "a.bp", {"epoch": 0})


@pytest.mark.parametrize("name", ["brainpy-2.8.2/snn.bp", "brainpy-2.3.4.1/lif_training"])
def test_states_of_a_checkpoint_from_a_file_are_node_by_node(name):
    tree = load_pytree(FIXTURES / name)
    loaded = from_tree(tree)
    states = save_state(loaded)
    arrays = {key: a for node in states.values() for key, a in node.items()}
    source = tree.get("net", {"": tree})
    found = {k: v for node in source.values() for k, v in node.items()}
    assert arrays.keys() == found.keys()
    assert all(np.array_equal(arrays[key], found[key]) for key in found)
    assert load_state(loaded, states) == StateLoadResult([], [])


# Networks, known by their attributes


class DynamicalSystem:
    """What of BrainPy's class the functions need."""

    def __init__(self, name, **arrays):
        self.name, self.children = name, []
        self.arrays = {f"{name}.{key}": value for key, value in arrays.items()}

    def nodes(self):
        inner = {node.name: node for child in self.children for node in child.nodes().values()}
        return {self.name: self, **inner, f"{self.name}.again": self}

    def save_state(self):
        return dict(self.arrays)

    def load_state(self, state):
        self.arrays |= {key: value for key, value in state.items() if key in self.arrays}
        return "an answer whose order differs between releases"


class DynView(DynamicalSystem):
    """A part of another node, which is saved with that."""


class Integrator:
    """A node without a state."""

    name = "ExponentialEuler0"

    def nodes(self):
        return {self.name: self}


def network():
    net = DynamicalSystem("SNN0")
    net.children = [
        DynamicalSystem("Dense0", W=np.zeros((3, 2))),
        DynView("View0", V=np.zeros(2)),
        Integrator(),
    ]
    return net


def test_the_state_of_a_network_is_that_of_its_nodes_each_once():
    states = save_state(network())
    assert list(states) == ["SNN0", "Dense0"]
    assert list(states["Dense0"]) == ["Dense0.W"]


def test_a_network_loads_its_own_nodes():
    net = network()
    states = {"Dense0": {"Dense0.W": np.ones((3, 2)), "Dense0.x": 1}, "ExponentialEuler0": {}}
    assert load_state(net, states) == StateLoadResult(["SNN0"], ["Dense0.Dense0.x"])
    assert net.children[0].arrays["Dense0.W"].sum() == 6


def test_a_network_of_an_old_release_is_asked_by_its_old_names():
    class Old(DynamicalSystem):
        save_state = load_state = None

        def __save_state__(self):
            return dict(self.arrays)

        def __load_state__(self, state):
            self.arrays = dict(state)

    net = Old("Lif0", V=np.zeros(2))
    assert list(save_state(net)["Lif0"]) == ["Lif0.V"]
    load_state(net, {"Lif0": {"Lif0.V": np.ones(2)}})
    assert net.arrays["Lif0.V"].sum() == 2


@pytest.mark.parametrize("function", [save_state, lambda target: load_state(target, {})])
def test_anything_else_is_refused(function):
    with pytest.raises(TypeError, match="found 'dict'"):
        function({"Dense0": {}})


def test_the_bytes_are_those_of_the_tree_alone(tmp_path):
    save(tmp_path / "a.bp", save_state(checkpoint()))
    assert list(unpack((tmp_path / "a.bp").read_bytes())) == ["fc", "lif", "conv", "norm", "own"]

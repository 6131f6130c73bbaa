"""What `export` sees of live nets of PyTorch, and what it says of them; here of stand-ins."""

import sys

import numpy as np
import pytest

import torch_stand_in as stand_in
from snnbridge import UNKNOWN, CheckpointError, Connection, Opaque, read
from snnbridge.frameworks.snntorch import checkpoint_of, export
from torch_stand_in import Leaky, Module, ReLU, Tensor, leaky, linear, sequential


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Stand in for PyTorch, and for what is installed."""
    for name, module in stand_in.as_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("snnbridge.frameworks.reading.live_net.version", {"snntorch": "1.0.0"}.get)


class Loop(Module):
    """A net that does the same in every step."""

    def __init__(self, step, **modules):
        super().__init__(**modules)
        self.step = step

    def forward(self, x):
        for n in range(len(x)):
            self.step(self, x[n])


def steps(*shape):
    return Tensor(np.arange(3 * 2 * np.prod(shape), dtype=np.float32).reshape(3, 2, *shape))


def edges(checkpoint):
    return {(c.source, c.target, c.delay) for c in checkpoint.connections}


def traced(step, shape=(4,), **modules):
    return checkpoint_of(Loop(step, **modules), sample=steps(*shape))


def test_a_chain_needs_no_word(tmp_path):
    ledger = export(sequential(linear(), leaky(), linear(), leaky()), tmp_path / "net.pt")
    checkpoint = read(tmp_path / "net.pt")
    assert edges(checkpoint) == {("0", "1", 0), ("1", "2", 0), ("2", "3", 0)}
    assert ledger.losses == ()
    assert any(line.what == "surrogate gradients" for line in ledger)


def test_a_run_shows_what_feeds_what():
    checkpoint = traced(
        lambda net, x: net.lif(net.fc(x.flatten(1))), shape=(2, 2), fc=linear(), lif=leaky()
    )
    assert edges(checkpoint) == {("input", "fc", 0), ("fc", "lif", 0)}
    assert checkpoint.layers["input"].shape == (4,)


def test_a_flat_view_of_a_module_s_output_is_a_layer():
    checkpoint = traced(
        lambda net, x: net.fc(net.pool(x).flatten(1)), shape=(1, 4, 4), pool=stand_in.pool(),
        fc=linear(),
    )  # fmt: skip
    assert edges(checkpoint) == {
        ("input", "pool", 0), ("pool", "fc.flatten", 0), ("fc.flatten", "fc", 0),
    }  # fmt: skip


def test_what_differs_from_step_to_step_is_not_known():
    def step(net, x):
        count, last = getattr(net, "held", (0, None))
        net.held = count + 1, net.lif(x)
        net.fc(last if count % 2 else net.held[1])

    told = "what feeds module 'fc': not known: what it takes differs from step to step"
    with pytest.warns(UserWarning, match=f"{told}: 'lif' of 0 steps ago, 'lif' of 1 steps ago"):
        traced(step, fc=linear(), lif=leaky())


def test_a_module_that_runs_once_before_the_steps_runs_in_each():
    class Encoding(Loop):
        def forward(self, x):
            current = self.fc(x)
            for _ in range(3):
                self.lif(current)

    checkpoint = checkpoint_of(Encoding(None, fc=linear(), lif=leaky()), sample=steps(4)[0])
    assert edges(checkpoint) == {("input", "fc", 0), ("fc", "lif", 0)}
    assert "module 'fc': ran once" in checkpoint.source.notes[0]


def test_a_module_that_runs_over_time_feeds_one_that_runs_by_step():
    class Sliced(Loop):
        def forward(self, x):
            current = self.fc(x)
            for n in range(3):
                self.lif(current[n])

    checkpoint = checkpoint_of(Sliced(None, fc=linear(), lif=leaky()), sample=steps(4))
    assert edges(checkpoint) == {("input", "fc", 0), ("fc", "lif", 0)}
    assert not any("ran once" in note for note in checkpoint.source.notes)


def test_a_module_without_a_state_that_is_used_twice_is_two_tied_layers():
    def step(net, x):
        net.lif2(net.fc(net.lif(net.fc(x))))

    checkpoint = traced(step, fc=linear(), lif=leaky(), lif2=leaky())
    assert ("lif", "fc_2", 0) in edges(checkpoint)
    assert set(checkpoint.ties) == {frozenset({("fc", "weight"), ("fc_2", "weight")})}


def test_a_module_that_stands_twice_in_a_chain_is_two_tied_layers():
    fc = linear()
    checkpoint = checkpoint_of(sequential(fc, leaky(), fc, leaky()))
    assert edges(checkpoint) == {("0", "1", 0), ("1", "2", 0), ("2", "3", 0)}
    assert set(checkpoint.ties) == {frozenset({("0", "weight"), ("2", "weight")})}


def test_a_neuron_that_is_used_twice_in_a_step_is_refused_by_name():
    with pytest.raises(CheckpointError, match="module 'lif' is used 2 times in every step"):
        traced(lambda net, x: net.lif(net.fc(net.lif(x))), fc=linear(), lif=leaky())


def test_a_neuron_that_stands_twice_in_a_chain_is_refused_by_name():
    lif = leaky()
    with pytest.raises(CheckpointError, match="one module stands at '1' and '3'"):
        checkpoint_of(sequential(linear(), lif, linear(), lif))


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (lambda x: x.mul_(2), "the output of 'fc' is changed in place"),
        (lambda x: x.T, "it takes a part of the output of 'fc', or its axes in another order"),
        (lambda x: x[:, :2], "it takes a part of the output of 'fc'"),
        (lambda x: x[:, ::2], "it takes a part of the output of 'fc'"),
        (lambda x: x * 2, "it takes what the function '__mul__' gives"),
        (lambda x: x + x, "it takes one output twice"),
        (lambda x: x + x[:1], "it takes a sum of tensors of different shapes"),
        (lambda x: Tensor(x.array * 2), "it takes what is neither a module's output nor"),
    ],
)
def test_what_is_done_between_two_modules_leaves_the_connections_unknown(between, why):
    with pytest.warns(UserWarning, match=f"what feeds module 'lif': not known: {why}"):
        checkpoint = traced(lambda net, x: net.lif(between(net.fc(x))), fc=linear(), lif=leaky())
    assert checkpoint.connections is UNKNOWN


def test_a_sum_is_two_connections():
    def step(net, x):
        one = net.lif(net.fc(x).clone())
        net.lif2(net.fc2(one) + one)

    modules = {"fc": linear(), "lif": leaky(), "fc2": linear(), "lif2": leaky()}
    assert edges(traced(step, **modules)) == {
        ("input", "fc", 0), ("fc", "lif", 0), ("lif", "fc2", 0), ("lif", "lif2", 0),
        ("fc2", "lif2", 0),
    }  # fmt: skip


class Recurrent(Loop):
    """A loop over the steps that begins with zeros."""

    def forward(self, x):
        spikes = stand_in.zeros(2, 4)
        for n in range(len(x)):
            spikes = self.lif(self.fc(x[n]) + self.rec(spikes))


def test_a_loop_that_begins_with_zeros_comes_one_step_later():
    net = Recurrent(None, fc=linear(), rec=linear(), lif=leaky())
    assert edges(checkpoint_of(net, sample=steps(4))) == {
        ("input", "fc", 0), ("fc", "lif", 0), ("lif", "rec", 1), ("rec", "lif", 0),
    }  # fmt: skip


def test_a_loop_is_not_seen_in_one_step():
    net = Recurrent(None, fc=linear(), rec=linear(), lif=leaky())
    with pytest.warns(UserWarning, match="pass a sample of several steps"):
        checkpoint = checkpoint_of(net, sample=Tensor(np.ones((1, 2, 4), np.float32)))
    assert checkpoint.connections is UNKNOWN


class Stepping(Loop):
    """A net that hands on the state of its neuron."""

    start = stand_in.zeros(2, 4)

    def forward(self, x):
        mem = self.start
        for n in range(len(x)):
            _, mem = self.lif(self.fc(x[n]), mem)
            mem = self.step(mem)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda mem: mem * 0.5, "what the function '__mul__' gives is given in its place"),
        (lambda mem: mem.mul_(0.5), "what the function 'mul_' gives is given in its place"),
        (lambda mem: mem.to(np.int8).to(np.float32), "what the function 'to' gives is given"),
        (lambda mem: stand_in.zeros(2, 4), "zeros are given in its place"),
    ],
)
def test_a_state_that_the_net_itself_changes_is_told(change, told):
    with pytest.warns(UserWarning, match=f"the state of module 'lif': .*: {told}"):
        checkpoint = checkpoint_of(Stepping(change, fc=linear(), lif=leaky()), sample=steps(4))
    assert checkpoint.connections is UNKNOWN


def test_a_state_that_is_handed_on_or_copied_is_nothing_to_tell():
    for change in (lambda mem: mem, lambda mem: mem.clone(), lambda mem: mem.to(np.float64)):
        net = Stepping(change, fc=linear(), lif=leaky())
        assert edges(checkpoint_of(net, sample=steps(4))) == {("input", "fc", 0), ("fc", "lif", 0)}


def test_a_net_that_is_no_chain_asks_for_a_sample(tmp_path):
    net = Loop(lambda net, x: net.lif(net.fc(x)), fc=linear(), lif=leaky())
    with pytest.warns(UserWarning, match="Loop is no nn.Sequential: pass sample="):
        ledger = export(net, tmp_path / "net.pt")
    assert [line.what for line in ledger.losses] == ["connections"]


def test_connections_are_between_modules_and_pass_those_without_layers():
    net = Loop(None, fc=linear(), drop=stand_in.dropout(), lif=leaky(), rec=linear())
    given = [("fc", "drop"), ("drop", "lif"), ("lif", "rec", 1), Connection("rec", "lif")]
    checkpoint = checkpoint_of(net, connections=given)
    assert edges(checkpoint) == {("fc", "lif", 0), ("lif", "rec", 1), ("rec", "lif", 0)}


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (("input", "fc"), "leave it out: what nothing feeds takes the input"),
        (("fc", "lif1"), "'lif1', which is no module of the net; the modules are 'fc', 'lif'"),
        ("fc", "a connection is"),
    ],
)
def test_a_connection_that_names_no_module_is_refused(edge, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoint_of(Loop(None, fc=linear(), lif=leaky()), connections=[edge])


def test_a_net_is_afterwards_what_it_was():
    lif = leaky()
    lif.mem = before = Tensor(np.zeros(1, np.float32))
    hook = lif.register_forward_hook(lambda *_: None, with_kwargs=True)

    def step(net, x):
        net.lif._buffers["beta"].mul_(0.5)
        net.lif(x)
        assert not net.training

    net = Loop(step, lif=lif)
    checkpoint = checkpoint_of(net, sample=steps(4))
    assert lif.mem is before
    assert [net.training, lif.training] == [True, True]
    assert len(lif._forward_hooks) == 1
    assert checkpoint.layers["lif"].parameters["decay"].value == 0.5
    hook.remove()


def test_a_first_state_that_is_not_zero_is_told():
    net = Stepping(lambda mem: mem, fc=linear(), lif=leaky())
    assert not checkpoint_of(net, sample=steps(4)).source.notes[1:]
    net.start = Tensor(np.ones((2, 4), np.float32))
    with pytest.warns(UserWarning, match="the first state of module 'lif': it is given a state"):
        checkpoint_of(net, sample=steps(4))


def test_modules_that_the_net_does_not_call_are_left_out():
    checkpoint = traced(lambda net, x: net.lif(net.fc(x)), fc=linear(), lif=leaky(), no=linear())
    assert list(checkpoint.layers) == ["fc", "lif", "input"]
    assert any("modules 'no': left out" in note for note in checkpoint.source.notes)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: leaky(state_quant=True), "module '1' .Leaky.: state_quant"),
        (lambda: leaky(inhibition=True), "module '1' .Leaky.: inhibition"),
        (lambda: leaky(state_function=print), "its state_function is print; expected one of"),
        (lambda: stand_in.pool(ceil_mode=True), "module '1' .MaxPool2d. has ceil_mode=True"),
        (lambda: stand_in.pool(dilation=(1, 2)), "module '1' .MaxPool2d. has dilation="),
    ],
)
def test_an_argument_that_no_layer_has_is_refused_with_its_module(module, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoint_of(sequential(linear(), module()))


def test_a_subclass_is_what_it_derives_from():
    class Mine(Leaky):
        """No other neuron."""

    layer = checkpoint_of(sequential(linear(), leaky(Mine))).layers["1"]
    assert layer.origin.kind == "Leaky"


def test_a_subclass_with_a_method_of_its_own_is_not():
    class Louder(Leaky):
        def forward(self, x):
            return super().forward(x.mul_(2))

    with pytest.warns(UserWarning, match="it is a Leaky with a forward of its own"):
        checkpoint = checkpoint_of(sequential(linear(), leaky(Louder)))
    assert isinstance(checkpoint.layers["1"], Opaque)


def test_a_class_of_one_s_own_with_a_known_name_is_not_the_known_one():
    mine = type("Leaky", (Module,), {"forward": lambda self, x: x})
    with pytest.warns(UserWarning, match="no layer of the model does what"):
        checkpoint = checkpoint_of(sequential(linear(), mine()))
    assert isinstance(checkpoint.layers["1"], Opaque)


def test_a_module_that_no_layer_stands_for_is_kept_with_the_way_out():
    with pytest.warns(UserWarning, match="behind a layer of spikes it changes nothing"):
        checkpoint = checkpoint_of(sequential(linear(), leaky(), ReLU()))
    assert checkpoint.layers["2"].origin.framework == "torch"


def test_what_is_trained_is_told():
    learned = leaky()
    learned._parameters["beta"] = Tensor(np.array(0.5, np.float32), requires_grad=True)
    del learned._buffers["beta"]
    layers = checkpoint_of(sequential(linear(trained=False), learned)).layers
    told = {key: held.trainable for key, held in layers["1"].parameters.items()}
    assert layers["0"].weight.trainable is False
    assert [told["decay"], told["threshold"]] == [True, False]


def test_what_is_no_net_is_refused():
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module, found 'list'"):
        checkpoint_of([])

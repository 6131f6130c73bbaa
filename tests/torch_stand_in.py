"""As much of PyTorch and of snnTorch as `export` looks at, made of numpy."""

from contextlib import contextmanager
from functools import wraps
from types import ModuleType, SimpleNamespace

import numpy as np

_MODES = []


class TorchFunctionMode:
    """While it is entered, each function is called by way of it."""

    def __enter__(self):
        _MODES.append(self)

    def __exit__(self, *_):
        _MODES.pop()


def function(own):
    """Make a function of the stand-in that modes see."""

    @wraps(own)
    def called(*args):
        if not _MODES:
            return own(*args)
        mode = _MODES.pop()
        try:
            return mode.__torch_function__(own, (), args)
        finally:
            _MODES.append(mode)

    return called


class Tensor:
    """An array with a count of the changes to its memory, which its views share."""

    def __init__(self, array, requires_grad=False, changes=None):
        self.array, self.requires_grad = array, requires_grad
        self.changes = [0] if changes is None else changes

    dtype = property(lambda self: f"torch.{self.array.dtype}")
    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    _version = property(lambda self: self.changes[0])

    def stride(self):
        return tuple(n // self.array.itemsize for n in self.array.strides)

    def storage_offset(self):
        return (_start(self.array) - self.untyped_storage().data_ptr()) // self.array.itemsize

    def untyped_storage(self):
        owner = self.array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        return SimpleNamespace(data_ptr=lambda: _start(owner))

    def is_inference(self):
        return False

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array

    @function
    def clone(self):
        return Tensor(self.array.copy())

    @function
    def to(self, dtype):
        return Tensor(self.array.astype(dtype))

    @function
    def __add__(self, other):
        return Tensor(self.array + other.array)

    @function
    def __mul__(self, factor):
        return Tensor(self.array * factor)

    def __eq__(self, other):
        return self.array == other.array

    __hash__ = object.__hash__

    def copy_(self, other):
        self.array[...] = other.array

    def any(self):
        return self.array.any()

    @function
    def mul_(self, factor):
        self.array *= factor
        self.changes[0] += 1
        return self

    def _view(self, array):
        return Tensor(array, changes=self.changes)

    def __getitem__(self, place):
        return self._view(self.array[place])

    def __len__(self):
        return len(self.array)

    def flatten(self, start):
        return self._view(self.array.reshape(*self.shape[:start], -1))

    @property
    def T(self):  # as PyTorch calls it
        return self._view(self.array.T)


def _start(array):
    return array.__array_interface__["data"][0]


def parameter(*shape, trained=True):
    return Tensor(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape), trained)


class Module:
    def __init__(self, **modules):
        self._modules, self._parameters, self._buffers = modules, {}, {}
        self._forward_hooks, self._forward_pre_hooks = {}, {}
        self.training = True

    def __getattr__(self, name):
        for held in ("_parameters", "_buffers", "_modules"):
            if name in vars(self).get(held, ()):
                return vars(self)[held][name]
        raise AttributeError(name)

    def children(self):
        return iter(self._modules.values())

    def modules(self):
        yield self
        for child in self._modules.values():
            yield from child.modules()

    def state_dict(self, prefix="", keep_vars=False):
        own = {**self._parameters, **self._buffers}.items()
        found = {f"{prefix}{key}": value for key, value in own if value is not None}
        for name, child in self._modules.items():
            found |= child.state_dict(f"{prefix}{name}.", keep_vars)
        return found

    def register_forward_hook(self, hook, with_kwargs):
        return _registered(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook):
        return _registered(self._forward_pre_hooks, hook)

    def __call__(self, *inputs):
        for hook in list(self._forward_pre_hooks.values()):
            hook(self, inputs)
        out = self.forward(*inputs)
        for hook in list(self._forward_hooks.values()):
            hook(self, inputs, {}, out)
        return out


def _registered(hooks, hook):
    key = object()
    hooks[key] = hook
    return SimpleNamespace(remove=lambda: hooks.pop(key))


@function
def zeros(*shape):
    return Tensor(np.zeros(shape, np.float32))


def _of(package, base=Module, **attributes):
    """Make a class of a package, called as the function that it is given."""

    def made(forward):
        names = {"__module__": package, "forward": forward, **attributes}
        return type(forward.__name__, (base,), names)

    return made


@_of("torch.nn.modules.container")
def Sequential(self, x):
    for child in self._modules.values():
        x = child(x)
    return x


@_of("torch.nn.modules.linear")
def Linear(self, x):
    return Tensor(np.asarray(x.array @ self.weight.array.T, np.float32))


@_of("torch.nn.modules.pooling")
def MaxPool2d(self, x):
    return Tensor(x.array[..., ::2, ::2].copy())


@_of("torch.nn.modules.dropout")
def Dropout(self, x):
    return x


@_of("torch.nn.modules.activation")
def ReLU(self, x):
    return Tensor(np.maximum(x.array, 0))


@_of("snntorch._neurons.leaky")
def Leaky(self, x, mem=None):
    spikes = Tensor((x.array > 0).astype(np.float32))
    if mem is None:
        self.mem = x
        return spikes
    self.mem = Tensor(x.array + mem.array)
    return spikes, self.mem


def sequential(*modules):
    return Sequential(**{str(n): module for n, module in enumerate(modules)})


def linear(inputs=4, outputs=4, trained=True):
    module = Linear()
    module._parameters |= {"weight": parameter(outputs, inputs, trained=trained), "bias": None}
    return module


def pool(**arguments):
    module = MaxPool2d()
    usual = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1, "ceil_mode": False}
    vars(module).update(usual | {"return_indices": False} | arguments)
    return module


def dropout():
    module = Dropout()
    module.p = 0.5
    return module


def _base_sub():
    """Stand for the function that runs in a step."""


def leaky(kind=Leaky, **arguments):
    module = kind()
    numbers = {"beta": 0.5, "threshold": 1.0, "graded_spikes_factor": 1.0}
    module._buffers |= {key: Tensor(np.array(x, np.float32)) for key, x in numbers.items()}
    usual = {"inhibition": False, "state_quant": False, "reset_delay": True}
    vars(module).update({**usual, "state_function": _base_sub, **arguments})
    return module


@contextmanager
def _nothing(**_):
    yield


def as_modules():
    """Return the modules to import, by name."""
    torch = ModuleType("torch")
    torch.Tensor = Tensor
    torch.nn = SimpleNamespace(Module=Module)
    torch.no_grad = _nothing
    torch.random = SimpleNamespace(fork_rng=_nothing)
    torch.equal = lambda a, b: np.array_equal(a.array, b.array)
    torch.overrides = ModuleType("torch.overrides")
    torch.overrides.TorchFunctionMode = TorchFunctionMode
    return {"torch": torch, "torch.overrides": torch.overrides}

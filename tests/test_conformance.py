"""Every shipped format keeps the whole contract, and the kit catches formats that do not."""

from typing import ClassVar

import toy
from snnbridge import Registry
from snnbridge.testing import FormatConformance

INSTALLED = Registry.installed()


class TestToy(FormatConformance):
    format = toy.FORMAT


class TestNpz(FormatConformance):
    format = INSTALLED.get("npz")
    read_options: ClassVar = {"check": "yes"}
    checks_integrity = True


class TestBrainpy(FormatConformance):
    format = INSTALLED.get("brainpy")
    checks_integrity = True


class TestNir(FormatConformance):
    format = INSTALLED.get("nir")
    checks_integrity = True


class TestHdf5(FormatConformance):
    format = INSTALLED.get("hdf5")
    read_options: ClassVar = {"check": "yes"}
    checks_integrity = True


class TestTorch(FormatConformance):
    format = INSTALLED.get("torch")
    checks_integrity = True


class TestSafetensors(FormatConformance):
    format = INSTALLED.get("safetensors")
    checks_integrity = True


class TestOnnx(FormatConformance):
    format = INSTALLED.get("onnx")
    checks_integrity = True


class TestSpyx(FormatConformance):
    format = INSTALLED.get("spyx")
    checks_integrity = True


class TestRockpool(FormatConformance):
    format = INSTALLED.get("rockpool")
    checks_integrity = True

"""Every shipped format keeps the whole contract, and the kit catches formats that do not."""

from dataclasses import replace
from typing import ClassVar

import toy
from snnbridge import EVERYTHING, Feature, Registry
from snnbridge.testing import FormatConformance

INSTALLED = Registry.installed()


class TestToy(FormatConformance):
    format = toy.FORMAT


def write_the_net_alone(checkpoint, target, options):
    nothing = {"training": {}, "metadata": {}, "extras": {}, "frozen_layers": [], "ties": []}
    toy.write(replace(checkpoint, state={}, step=None, **nothing), target, options)


class TestFormatThatHoldsLess(FormatConformance):
    """What it does not hold is refused, or dropped as its ledger says."""

    format = replace(
        toy.FORMAT,
        name="less",
        write=write_the_net_alone,
        holds=EVERYTHING
        - {Feature.TRAINING, Feature.METADATA, Feature.EXTRAS}
        - {Feature.FROZEN, Feature.TIES, Feature.STATE},
    )


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

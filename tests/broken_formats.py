"""Formats that each break one promise, and the check that must catch them."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import toy
from snnbridge import (
    Entry,
    Feature,
    Linear,
    Neuron,
    Parameter,
    ReadError,
    SNNCheckpoint,
    Status,
    differences,
)
from snnbridge.document import from_document, from_inline, inline, to_document
from snnbridge.storage import dump_json, parse_json

BROKEN = {}


def broken(caught_by):
    """Note a function that makes a broken format, and the check that catches it."""

    def note(make):
        BROKEN[make.__name__] = (make, caught_by)
        return make

    return note


def toy_with(**changes):
    return replace(toy.FORMAT, **changes)


def reading(change):
    return toy_with(read=lambda source, options: change(toy.read(source, options)))


def writing(change):
    return toy_with(write=lambda c, target, options: toy.write(change(c), target, options))


def change_parameters(checkpoint, change):
    layers = [
        replace(x, weight=Parameter(change(x.weight.value), x.weight.unit, x.weight.trainable))
        if isinstance(x, Linear) and hasattr(x.weight.value, "dtype")
        else x
        for x in checkpoint.layers.values()
    ]
    return replace(checkpoint, layers=layers)


@broken("a_sample_comes_back_or_is_refused")
def drops_a_dtype():
    return reading(lambda c: change_parameters(c, lambda w: w.astype(np.float32)))


@broken("a_sample_comes_back_or_is_refused")
def flushes_negative_zero():
    return reading(lambda c: change_parameters(c, lambda w: w + 0))


@broken("a_sample_comes_back_or_is_refused")
def loses_the_order_of_layers():
    return reading(lambda c: replace(c, layers=sorted(c.layers.values(), key=lambda x: x.name)))


@broken("a_sample_comes_back_or_is_refused")
def ignores_frozen_layers():
    return writing(lambda c: replace(c, frozen_layers=[]))


@broken("the_ledger_tells_the_truth")
def loses_metadata_in_silence():
    return writing(lambda c: replace(c, metadata={}))


@broken("a_sample_comes_back_or_is_refused")
def transposes_what_is_in_fortran_order():
    def change(weights):
        return weights.T.reshape(weights.shape) if not weights.flags.c_contiguous else weights

    return writing(lambda c: change_parameters(c, change))


@broken("a_sample_comes_back_or_is_refused")
def writes_what_it_does_not_declare():
    losses = toy_with(holds=frozenset({Feature.LINEAR}))
    # It goes around the bridge's refusal by claiming everything, and losing it.
    return replace(losses, holds=toy.FORMAT.holds, write=writing(lambda c: _bare(c)).write)


def _bare(checkpoint):
    return replace(checkpoint, state={}, training={}, extras={}, step=None)


@broken("a_sample_comes_back_or_is_refused")
def refuses_what_it_declares():
    def losses(checkpoint, options):
        return [(("layers", name), "too long") for name in checkpoint.layers if len(name) > 20]

    def write(checkpoint, target, options):
        if checkpoint.training:
            raise ReadError("training state is too hard")
        toy.write(checkpoint, target, options)

    return toy_with(losses=losses, write=write)


@broken("the_input_stays_as_it_was")
def changes_its_input():
    def write(checkpoint, target, options):
        toy.write(checkpoint, target, options)
        for layer in checkpoint.layers.values():
            for held in layer.parameters.values():
                if isinstance(held.value, np.ndarray) and held.value.flags.writeable:
                    held.value[...] = held.value.dtype.type()

    return toy_with(write=write)


@broken("the_input_stays_as_it_was")
def locks_its_input():
    def write(checkpoint, target, options):
        toy.write(checkpoint, target, options)
        for layer in checkpoint.layers.values():
            for held in layer.parameters.values():
                if isinstance(held.value, np.ndarray):
                    held.value.flags.writeable = False

    return toy_with(write=write)


@broken("equal_checkpoints_make_equal_bytes")
def writes_the_time():
    count = iter(range(10**6))

    def write(checkpoint, target, options):
        document = to_document(checkpoint, lambda path, array: inline(array))
        with target.open() as file:
            file.write(b'{"toy": ' + dump_json(document) + b', "at": %d}' % next(count))

    return toy_with(write=write)


@broken("foreign_files_are_left_alone")
def claims_everything():
    return toy_with(sniff=lambda probe: True)


@broken("foreign_files_are_left_alone")
def raises_while_looking():
    return toy_with(sniff=lambda probe: probe.head[100] == 0)


@broken("own_files_are_recognised")
def knows_itself_by_the_suffix_only():
    def sniff(probe):
        return probe.path.suffix == ".other" and toy.sniff(probe)

    return toy_with(sniff=sniff)


@broken("a_full_disk_leaves_the_old_file")
def swallows_an_error():
    def write(checkpoint, target, options):
        with target.open() as file:
            try:
                document = to_document(checkpoint, lambda path, array: inline(array))
                file.write(toy.MAGIC)
                file.write(dump_json(document) + b"}")
            except OSError:
                pass

    return toy_with(write=write)


@broken("nothing_is_in_place_before_the_end")
def writes_without_staging():
    def write(checkpoint, target, options):
        toy.write(checkpoint, target, options)
        document = to_document(checkpoint, lambda path, array: inline(array))
        target.path.write_bytes(toy.MAGIC + dump_json(document) + b", ")

    return toy_with(write=write)


@broken("a_full_disk_leaves_the_old_file")
def deletes_the_old_file_first():
    def write(checkpoint, target, options):
        target.path.unlink(missing_ok=True)
        toy.write(checkpoint, target, options)

    return toy_with(write=write)


@broken("nothing_is_in_place_before_the_end")
def leaves_a_second_file():
    def write(checkpoint, target, options):
        target.path.with_suffix(".log").write_text("writing")
        toy.write(checkpoint, target, options)

    return toy_with(write=write)


@broken("a_shortened_file_is_refused")
def reads_what_is_left():
    def read(source, options):
        try:
            return toy.read(source, options)
        except ReadError:
            return from_document(_empty(), from_inline)

    return toy_with(read=read)


@broken("a_shortened_file_is_refused")
def hangs_on_damage():
    def read(source, options):
        try:
            return toy.read(source, options)
        except ReadError:
            while True:
                pass

    return toy_with(read=read)


@broken("a_shortened_file_is_refused")
def takes_all_memory_on_damage():
    def read(source, options):
        try:
            return toy.read(source, options)
        except ReadError:
            return np.ones(1 << 34)

    return toy_with(read=read)


@broken("arrays_outlive_their_file")
def hands_out_its_buffer():
    buffer = np.zeros(1 << 16, np.uint8)

    def read(source, options):
        at = 0

        def fetch(reference):
            nonlocal at
            array = from_inline(reference)
            if array.dtype.kind not in "fiu" or at + array.nbytes > buffer.size:
                return array
            held = buffer[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
            held[...] = array
            at += -(-array.nbytes // 16) * 16
            return held

        return from_document(parse_json(bytes(source.data))["toy"], fetch)

    return toy_with(read=read)


@broken("readers_may_share_a_file")
def reads_into_a_global():
    state = {}

    def read(source, options):
        mine = state["reader"] = object()
        time.sleep(0.05)
        if state["reader"] is not mine:
            raise ReadError("somebody else is reading")
        return toy.read(source, options)

    return toy_with(read=read)


@broken("a_reader_finds_the_old_file_or_the_new_one")
def keeps_weights_in_a_file_that_it_does_not_stage():
    def write(checkpoint, target, options):
        toy.write(checkpoint, target, options)
        document = to_document(checkpoint, lambda path, array: inline(array))
        target.path.with_suffix(".side").write_bytes(dump_json(document))
        time.sleep(0.02)

    def read(source, options):
        left = toy.read(source, options)
        side = parse_json(source.path.with_suffix(".side").read_bytes())
        right = from_document(side, from_inline)
        if differences(left, right):
            return replace(left, layers=right.layers, metadata={"mixed": True})
        return left

    return toy_with(write=write, read=read)


@broken("behaviour_is_the_same")
def calls_a_higher_threshold_a_rewriting():
    def prepare(checkpoint, options):
        entries, layers = [], []
        for layer in checkpoint.layers.values():
            held = layer.parameters.get("threshold")
            if isinstance(layer, Neuron) and held is not None:
                higher = Parameter(np.asarray(held.value) * 1.5, held.unit)
                layer = replace(layer, parameters={**layer.parameters, "threshold": higher})
                path = ("layers", layer.name)
                entries.append(Entry(Status.REWRITTEN, path, layer.name, "just so"))
            layers.append(layer)
        return replace(checkpoint, layers=layers), entries

    return toy_with(prepare=prepare)


@broken("a_flipped_bit_is_found")
def crashes_on_damage():
    def read(source, options):
        try:
            return toy.read(source, options)
        except ReadError:
            os._exit(7)

    return toy_with(read=read)


def _empty() -> Mapping[str, object]:
    return to_document(SNNCheckpoint([]), lambda path, array: inline(array))

"""The kernel equals the plain definition, bit for bit, over the whole family."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulate_twin import Twin
from snnbridge.model import (
    Clock,
    Compare,
    Connection,
    Floor,
    Form,
    Input,
    InputGain,
    Inputs,
    Linear,
    Neuron,
    NeuronRule,
    Parameter,
    Quantity,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SNNCheckpoint,
    SpikeSource,
    Synapse,
    SynapseKind,
    SynapseOrder,
    SynapseRule,
    Trace,
    Width,
)
from snnbridge.simulator import simulate

SLOW = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
REAL_FORMS = [f for f in Form if f not in (Form.INTEGER_SHIFT_12, Form.FIXED_Q8_8)]


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(net, stimulus, steps, **options):
    """Hold a simulation against the twin, sample by sample."""
    names = [n for n in net.layers if not isinstance(net.layers[n], Input)]
    found = simulate(net, stimulus, record=names, **options)
    for sample in range(stimulus.shape[1]):
        expected = Twin(net, {"in": stimulus[:, sample]}).run(steps)
        for (name, variable), trace in found.traces.items():
            if variable == "spikes":
                continue
            wanted = np.array(expected[name, variable])
            if variable == "output":
                layer = net.layers[name]
                late = layer.rule.output_delay if isinstance(layer, Neuron) else 0
                wanted = np.concatenate([np.zeros_like(wanted[:late]), wanted])[:steps]
            assert same_bits(np.ascontiguousarray(trace[:, sample]), wanted), (name, variable)
    return found


def scheme_for(form):
    return {
        Form.EXPONENTIAL_EULER: [Scheme.EXACT],
        Form.DERIVATIVE: [Scheme.EULER, Scheme.RUNGE_KUTTA_4],
        Form.QUOTIENT: [Scheme.EULER],
        Form.INTEGER_SHIFT_12: [Scheme.STATED],
        Form.FIXED_Q8_8: [Scheme.STATED],
    }.get(form, list(Scheme))


@st.composite
def rules(draw, width):
    form = draw(st.sampled_from(REAL_FORMS))
    spiking = draw(st.booleans()) or draw(st.booleans())
    reset = draw(st.sampled_from(Reset))
    timing = draw(st.sampled_from(ResetTiming))
    old = draw(st.sampled_from([SpikeSource.NEW, SpikeSource.NEW, SpikeSource.OLD]))
    several = draw(st.sampled_from([1, 1, 1, 3, None]))
    if timing is ResetTiming.RESIDUAL and (reset is Reset.SET or old is SpikeSource.OLD):
        timing = ResetTiming.NOW
    gain = draw(st.sampled_from(InputGain))
    outside = form is Form.AFFINE or gain is not InputGain.COMPLEMENT
    late = old is SpikeSource.OLD or (reset is not Reset.NONE and timing is not ResetTiming.NOW)
    return NeuronRule(
        scheme=draw(st.sampled_from(scheme_for(form))),
        form=form,
        input_gain=gain,
        inputs=draw(st.sampled_from(Inputs)) if outside else Inputs.SUMMED,
        floor=draw(st.sampled_from(Floor)),
        compare=draw(st.sampled_from(Compare)) if several == 1 else Compare.GREATER_EQUAL,
        reset=reset,
        reset_timing=timing,
        spike_from=old,
        refractory=Refractory.NONE if late else draw(st.sampled_from(Refractory)),
        clock=draw(st.sampled_from(Clock)),
        spiking=spiking,
        max_spikes=several,
        output_delay=draw(st.sampled_from([0, 0, 0, 1, 3])),
        width=width,
        trace=draw(st.sampled_from(Trace)),
    )


def numbers(draw, shape, low, high):
    """Draw a scalar or one number for each, dyadic or not, in float32 or float64."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([(), shape]))
    values = rng.uniform(low, high, size)
    if draw(st.booleans()):
        values = np.clip(np.round(values * 8) / 8, low, high)
    return np.asarray(values, draw(st.sampled_from([np.float32, np.float64])))


def neuron(draw, name, shape, width):
    rule = draw(rules(width))
    p = {
        "tau": Parameter(numbers(draw, shape, 1.5, 8), "ms"),
        "tau_inv": Parameter(numbers(draw, shape, 0.125, 0.75), "1/ms"),
        "decay": numbers(draw, shape, -0.25, 1.25),
        "logit": numbers(draw, shape, -2, 3),
        "dash": numbers(draw, shape, 1, 3),
        "resistance": numbers(draw, shape, 0.5, 2),
        "capacitance": numbers(draw, shape, 1, 4),
        "gain": numbers(draw, shape, 0.5, 2),
        "threshold": numbers(draw, shape, 0.25, 1),
        "v_reset": numbers(draw, shape, -0.5, 0.125),
        "tau_ref": Parameter(numbers(draw, shape, 0, 3), "ms"),
    }
    optional = {
        "bias": numbers(draw, shape, -0.25, 0.25),
        "v_rest": numbers(draw, shape, -0.25, 0.25),
        "reset_amount": numbers(draw, shape, 0.25, 1.5),
        "v_min": numbers(draw, shape, -1, -0.25),
        "v_init": numbers(draw, shape, -0.5, 1.5),
        "output_gain": numbers(draw, shape, 0.5, 2),
    }
    p |= {key: value for key, value in optional.items() if draw(st.booleans())}
    return Neuron(name, shape, p, rule)


def synapse(draw, name, shape, width, receptors=1):
    kind = draw(st.sampled_from(SynapseKind))
    form = draw(st.sampled_from(REAL_FORMS))
    order = draw(st.sampled_from(SynapseOrder))
    rule = SynapseRule(
        kind=kind,
        order=order,
        scheme=draw(st.sampled_from([s for s in scheme_for(form) if s not in (Scheme.RC,)])),
        form=form,
        input_gain=draw(st.sampled_from([InputGain.ONE, InputGain.COMPLEMENT])),
        inputs=draw(st.sampled_from(Inputs)),
        width=width,
    )
    whole = shape if receptors == 1 else (*shape, receptors)
    p = {
        "tau": Parameter(numbers(draw, whole, 3, 8), "ms"),
        "tau_rise": Parameter(numbers(draw, whole, 1, 2.5), "ms"),
        "tau_inv": Parameter(numbers(draw, whole, 0.125, 0.75), "1/ms"),
        "decay": numbers(draw, whole, 0.25, 1),
        "dash": numbers(draw, whole, 1, 3),
    }
    if draw(st.booleans()):
        p["gain"] = numbers(draw, whole, 0.5, 2)
    if draw(st.booleans()):
        p["input_gain"] = numbers(draw, whole, 0.5, 2)
    return Synapse(name, shape, p, rule, receptors=receptors)


@st.composite
def stacks(draw):
    """A feed-forward net with a synapse, a recurrent connection, a skip and a readout."""
    width = draw(st.sampled_from([Width.FLOAT32, Width.FLOAT64]))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.float16]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_in, n, n_out = draw(st.tuples(*[st.integers(1, 12)] * 3))
    receptors = draw(st.sampled_from([1, 1, 2]))

    def weight(*shape):
        w = rng.normal(0.3, 0.5, shape)
        return (np.round(w * 16) / 16 if draw(st.booleans()) else w).astype(dtype)

    syn = synapse(draw, "syn", (n,), width, receptors)
    if syn.rule.scheme in (Scheme.LOGIT, Scheme.EULER_LOGIT):
        syn = Synapse(
            "syn",
            (n,),
            {**syn.parameters, "decay": 0.5},
            SynapseRule(
                kind=syn.rule.kind,
                order=syn.rule.order,
                scheme=Scheme.STATED,
                form=Form.AFFINE,
                input_gain=InputGain.ONE,
                inputs=syn.rule.inputs,
                width=width,
            ),
            receptors=receptors,
        )
    layers = [
        Input("in", (n_in,)),
        Linear(
            "fc1",
            weight(n * receptors, n_in),
            weight(n * receptors) if draw(st.booleans()) else None,
        ),
        syn,
        neuron(draw, "lif", (n,), width),
        Linear("rec", weight(n, n) * dtype(0.25), weight(n) * dtype(0.25)),
        Linear("fc2", weight(n_out, n)),
        Linear("skip", weight(n_out, n_in)),
        neuron(draw, "last", (n_out,), width),
    ]
    edges = [
        Connection("in", "fc1"),
        Connection("fc1", "syn", draw(st.sampled_from([0, 0, 2]))),
        Connection("syn", "lif"),
        Connection("lif", "fc2", draw(st.sampled_from([0, 0, 1]))),
        Connection("fc2", "last"),
    ]
    if draw(st.booleans()):
        one = draw(st.booleans())
        edges += [Connection("lif", "rec", int(one)), Connection("rec", "lif", 2 - one)]
    if draw(st.booleans()):
        edges += [Connection("in", "skip"), Connection("skip", "last", draw(st.integers(0, 2)))]
    net = SNNCheckpoint(layers, connections=edges, dt=Quantity(1.0, "ms"))
    if draw(st.booleans()):
        stimulus = (rng.random((8, 3, n_in)) < 0.4).astype(
            draw(st.sampled_from([np.float32, np.uint8, bool, float]))
        )
    else:
        stimulus = rng.normal(0.3, 0.6, (8, 3, n_in)).astype(
            draw(st.sampled_from([np.float32, float]))
        )
    return net, stimulus


@SLOW
@given(stacks(), st.integers(0, 2))
def test_every_switch_gives_the_bits_of_the_definition(case, lanes):
    net, stimulus = case
    check(net, stimulus, len(stimulus), lanes=lanes, threads=1)


@st.composite
def integer_nets(draw):
    """Synapse and neuron in integers of 2**-12, or a neuron in words of 16 bits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 9))
    words = draw(st.booleans())
    form, one = (Form.FIXED_Q8_8, 256) if words else (Form.INTEGER_SHIFT_12, 4096)
    width = Width.INT16 if words else Width.INT64
    rule = NeuronRule(
        scheme=Scheme.STATED,
        form=form,
        input_gain=draw(st.sampled_from([InputGain.ONE, InputGain.STATED])),
        inputs=Inputs.SUMMED,
        compare=draw(st.sampled_from(Compare)),
        reset=draw(st.sampled_from(Reset)),
        reset_timing=draw(st.sampled_from([ResetTiming.NOW, ResetTiming.NEXT_AFTER_LEAK])),
        spike_from=SpikeSource.NEW,
        refractory=Refractory.NONE,
        clock=Clock.COUNTER,
        spiking=True,
        max_spikes=1,
        output_delay=0,
        width=width,
        trace=draw(st.sampled_from(Trace)),
    )

    def number(low, high):
        return rng.integers(low, high, n) / one

    p = {
        "decay": number(0, one + 1),
        "threshold": number(one // 4, one),
        "gain": number(0, 2 * one),
    }
    p |= {"v_reset": number(-one // 4, 1), "v_rest": number(-one // 4, one // 4)}
    p |= {"v_init": number(-one // 2, one // 2), "bias": number(-one // 8, one // 8)}
    weight = rng.integers(-one, 2 * one, (n, 5)) / one
    layers = [Input("in", (5,)), Linear("fc", weight), Neuron("lif", (n,), p, rule)]
    edges = [Connection("in", "fc"), Connection("fc", "lif")]
    if not words:
        order = draw(st.sampled_from(SynapseOrder))
        filtered = SynapseRule(
            kind=draw(st.sampled_from([SynapseKind.EXPONENTIAL])),
            order=order,
            scheme=Scheme.STATED,
            form=form,
            input_gain=InputGain.ONE,
            inputs=Inputs.SUMMED,
            width=width,
        )
        layers.insert(2, Synapse("syn", (n,), {"decay": number(0, one + 1)}, filtered))
        edges = [Connection("in", "fc"), Connection("fc", "syn"), Connection("syn", "lif")]
    stimulus = rng.integers(-2, 3, (12, 2, 5)).astype(np.float32)
    return SNNCheckpoint(layers, connections=edges), stimulus


@SLOW
@given(integer_nets(), st.integers(0, 2))
def test_integer_neurons_give_the_bits_of_the_definition(case, lanes):
    net, stimulus = case
    check(net, stimulus, len(stimulus), lanes=lanes)


@SLOW
@given(stacks(), st.integers(1, 3), st.integers(1, 7))
def test_blocks_and_threads_of_any_size_give_the_same_bits(case, threads, cut):
    net, stimulus = case
    names = [n for n in net.layers if n != "in"]
    whole = simulate(net, stimulus, record=names, threads=1)
    split = simulate(net, stimulus[:cut], record=names, threads=threads)
    rest = simulate(net, stimulus[cut:], record=names, initial=split.state, threads=threads)
    for key, trace in whole.traces.items():
        assert same_bits(np.concatenate([split.traces[key], rest.traces[key]]), trace), key

# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The engine of the simulator: a program of operations over blocks of samples and steps.

A program is built once from a network's layers. Each operation writes one node: a row of numbers
for each sample and step, in the width of the network, with the rows of earlier steps that delayed
connections look back at before them. A worker runs a program over a group of samples and a block
of steps without the GIL; operations outside cycles run the whole block at once, those on a cycle
step by step together.
"""

from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "_kernel.h" nogil:
    enum: TILE
    ctypedef struct neuron_t:
        ptrdiff_t n
        int form, spiking, reset, timing, old, refractory, float_clock, raw
        double max_spikes
        void *leak
        void *tau
        void *gain
        void *rest
        void *constant
        void *least
        void *threshold
        void *amount
        void *value
        void *floor
        void *output_gain
        void *hold
    ctypedef struct synapse_t:
        ptrdiff_t n
        int receptors, kind, order, decay
        void *leak
        void *tau
        void *gain
        void *output_gain
        void *leak_rise
        void *tau_rise
    ctypedef struct window_t:
        ptrdiff_t height, width, out_height, out_width, kernel_width, kernel_height
        const int32_t *row_start
        const int32_t *row_tap
        const int32_t *row_out
        const int32_t *column_start
        const int32_t *column_tap
        const int32_t *column_out
    ctypedef struct conv_t:
        window_t window
        ptrdiff_t channels, outputs, group_outputs, group_channels
        int wide
        const void *weight
    ctypedef ptrdiff_t (*scan_f)(const void *, ptrdiff_t, int32_t *, int *) noexcept nogil
    ctypedef ptrdiff_t (*scan_bytes_f)(const uint8_t *, ptrdiff_t, int32_t *, int *) noexcept nogil
    ctypedef void (*events_f)(const void *, ptrdiff_t, const int32_t *, ptrdiff_t,
                              const double *, double *) noexcept nogil
    ctypedef void (*dense_f)(const double *, ptrdiff_t, ptrdiff_t, const double *, double *,
                             int) noexcept nogil
    ctypedef void (*conv_f)(const conv_t *, const int32_t *, ptrdiff_t, const double *,
                            double *) noexcept nogil
    ctypedef void (*finish_f)(void *, const double *, const double *, ptrdiff_t) noexcept nogil
    ctypedef void (*conv_finish_f)(void *, const double *, const double *, ptrdiff_t,
                                   ptrdiff_t) noexcept nogil
    ctypedef void (*neuron_f)(const neuron_t *, void *, const void *, void *, void *, void *,
                              void *, float) noexcept nogil
    ctypedef void (*synapse_f)(const synapse_t *, void *, void *, const void *,
                               void *) noexcept nogil
    ctypedef void (*add_f)(void *, const void *, ptrdiff_t) noexcept nogil
    ctypedef struct lanes_t:
        scan_f scan[2]
        scan_bytes_f scan_bytes
        events_f events[2]
        dense_f dense
        ptrdiff_t panel
        conv_f conv
        finish_f finish[2]
        conv_finish_f conv_finish[2]
        neuron_f neuron[2]
        synapse_f synapse[2]
        add_f add[2]
    const lanes_t *LANES_OF[3]
    int best_lanes()

cdef enum Kind:
    INPUT, SUM, LINEAR, CONV, POOL, MAXPOOL, PERMUTE, DELAYS, SCALE, NORM, NEURON, SYNAPSE

SLACK = 16  # indices that a scan may write beyond the last
cdef ptrdiff_t _SLACK = 16
cdef ptrdiff_t _ROWS = 96  # rows of a dense product at a time

cdef struct Node:
    ptrdiff_t n
    ptrdiff_t history  # rows kept of earlier steps
    bint events  # somebody reads the indices of what is not zero
    void *past  # (batch, history, n)

cdef struct Op:
    Kind kind
    int node
    int source
    int delay
    ptrdiff_t n_in
    ptrdiff_t n_out
    int sources  # of a sum
    int *source_of
    int *delay_of
    void *weight
    int wide
    double *bias
    double *a
    double *b
    double *c
    double *d
    int32_t *table
    conv_t conv
    neuron_t neuron
    synapse_t synapse
    float clock_step
    void *state
    void *second
    # Recordings of this block: (steps, batch, n), or NULL
    void *shown
    int64_t *counts  # (batch, n): spikes since the start
    # The input of this block
    const char *stimulus
    ptrdiff_t stimulus_step
    ptrdiff_t stimulus_sample
    int stimulus_kind  # 0 float32, 1 float64, 2 bytes

cdef struct View:
    char *rows
    ptrdiff_t sample_stride  # in bytes
    ptrdiff_t step_stride
    int32_t *index
    int32_t *count
    uint8_t *binary


cdef void *_address(object array, list keep) except NULL:
    """Return the address of an array's first byte, and keep the array."""
    cdef const uint8_t[::1] flat = memoryview(array).cast("B")
    keep.append(array)
    return <void *> &flat[0]


def instruction_sets():
    """Return the names of the instruction sets that this processor has, best last."""
    return ("baseline", "avx2", "avx512")[: best_lanes() + 1]


cdef class Program:
    """The operations of a network and the arrays that they work on.

    Parameters
    ----------
    double_precision : bool
        Whether the network's width is float64.
    lanes : int
        Index into `instruction_sets`; -1 for the best.
    """

    cdef Op *ops
    cdef Node *nodes
    cdef int n_ops, n_nodes, room
    cdef int width  # 0 float32, 1 float64
    cdef ptrdiff_t item
    cdef const lanes_t *lanes
    cdef list keep
    cdef int *parts  # (first, last, looped) of each component
    cdef int n_parts
    cdef ptrdiff_t batch
    cdef ptrdiff_t widest

    def __cinit__(self, bint double_precision, int room, int lanes=-1):
        self.width = double_precision
        self.item = 8 if double_precision else 4
        self.lanes = LANES_OF[best_lanes() if lanes < 0 else min(lanes, best_lanes())]
        self.keep = []
        self.room = max(room, 1)
        self.ops = <Op *> calloc(self.room, sizeof(Op))
        self.nodes = <Node *> calloc(self.room, sizeof(Node))
        self.parts = <int *> calloc(3 * self.room, sizeof(int))
        self.widest = 1
        if self.ops == NULL or self.nodes == NULL or self.parts == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.ops)
        free(self.nodes)
        free(self.parts)

    cdef Op *_add(self, Kind kind, ptrdiff_t n, int source, int delay) except NULL:
        if self.n_ops >= self.room:
            raise IndexError("the program is full")
        cdef Op *op = &self.ops[self.n_ops]
        op.kind = kind
        op.node = self.n_ops
        op.source = source
        op.delay = delay
        op.n_out = n
        if source >= 0:
            op.n_in = self.nodes[source].n
        self.nodes[self.n_ops].n = n
        self.widest = max(self.widest, n)
        self.n_ops += 1
        self.n_nodes = self.n_ops
        return op

    # Every node is declared before the operations are described, as cycles name later ones.

    def declare(self, int node, ptrdiff_t n, ptrdiff_t history, bint events):
        """Say how many numbers a node has, how far others look back, and whether at events."""
        self.nodes[node].n = n
        self.nodes[node].history = history
        self.nodes[node].events = events

    def add_input(self, ptrdiff_t n):
        """Add a node that the stimulus fills."""
        self._add(INPUT, n, -1, 0)

    def add_sum(self, ptrdiff_t n, sources, delays):
        """Add the sum of nodes in this order, each so many steps ago; zeros for none."""
        cdef Op *op = self._add(SUM, n, -1, 0)
        op.sources = len(sources) // 4
        op.source_of = <int *> _address(sources, self.keep)
        op.delay_of = <int *> _address(delays, self.keep)

    def add_linear(self, ptrdiff_t n, int source, int delay, weight, bint wide, bias):
        """Add a product with weights packed in tiles; see `tiles`."""
        cdef Op *op = self._add(LINEAR, n, source, delay)
        op.weight = _address(weight, self.keep)
        op.wide = wide
        if bias is not None:
            op.bias = <double *> _address(bias, self.keep)

    cdef int _window(self, Op *op, window) except -1:
        cdef window_t *w = &op.conv.window
        (w.height, w.width, w.out_height, w.out_width, w.kernel_height, w.kernel_width) = window[0]
        w.row_start = <int32_t *> _address(window[1], self.keep)
        w.row_tap = <int32_t *> _address(window[2], self.keep)
        w.row_out = <int32_t *> _address(window[3], self.keep)
        w.column_start = <int32_t *> _address(window[4], self.keep)
        w.column_tap = <int32_t *> _address(window[5], self.keep)
        w.column_out = <int32_t *> _address(window[6], self.keep)
        return 0

    def add_conv(self, ptrdiff_t n, int source, int delay, window, ptrdiff_t channels,
                 ptrdiff_t outputs, ptrdiff_t groups, weight, bint wide, bias):
        """Add a convolution; weight is (channel, tap row, tap column, output of its group)."""
        cdef Op *op = self._add(CONV, n, source, delay)
        self._window(op, window)
        op.conv.channels = channels
        op.conv.outputs = outputs
        op.conv.group_outputs = outputs // groups
        op.conv.group_channels = channels // groups
        op.conv.wide = wide
        op.conv.weight = _address(weight, self.keep)
        if bias is not None:
            op.bias = <double *> _address(bias, self.keep)

    def add_pool(self, ptrdiff_t n, int source, int delay, window, ptrdiff_t channels, counts,
                 bint largest):
        """Add a pool over windows; `counts` are the divisors of each place of a mean, or None."""
        cdef Op *op = self._add(MAXPOOL if largest else POOL, n, source, delay)
        self._window(op, window)
        op.conv.channels = channels
        if counts is not None:
            op.a = <double *> _address(counts, self.keep)

    def add_permute(self, ptrdiff_t n, int source, int delay, table):
        """Add the same numbers in another order."""
        cdef Op *op = self._add(PERMUTE, n, source, delay)
        op.table = <int32_t *> _address(table, self.keep)

    def add_delays(self, ptrdiff_t n, int source, int delay, table):
        """Add a delay of its own for each number."""
        cdef Op *op = self._add(DELAYS, n, source, delay)
        op.table = <int32_t *> _address(table, self.keep)

    def add_scale(self, ptrdiff_t n, int source, int delay, factor):
        """Add a factor for each number."""
        cdef Op *op = self._add(SCALE, n, source, delay)
        op.a = <double *> _address(factor, self.keep)

    def add_norm(self, ptrdiff_t n, int source, int delay, mean, deviation, weight, bias):
        """Add ((x - mean) / deviation) * weight + bias, each number its own."""
        cdef Op *op = self._add(NORM, n, source, delay)
        op.a = <double *> _address(mean, self.keep)
        op.b = <double *> _address(deviation, self.keep)
        op.c = <double *> _address(weight, self.keep)
        op.d = <double *> _address(bias, self.keep)

    def add_neuron(self, ptrdiff_t n, int source, int delay, switches, double max_spikes,
                   arrays, float clock_step):
        """Add neurons; switches and arrays in the order of `neuron_t`."""
        cdef Op *op = self._add(NEURON, n, source, delay)
        cdef neuron_t *p = &op.neuron
        p.n = n
        (p.form, p.spiking, p.reset, p.timing, p.old, p.refractory, p.float_clock,
         p.raw) = switches
        p.max_spikes = max_spikes
        op.clock_step = clock_step
        p.leak = _address(arrays["leak"], self.keep)
        p.tau = _address(arrays["tau"], self.keep)
        p.gain = _address(arrays["gain"], self.keep)
        p.rest = _address(arrays["rest"], self.keep)
        p.constant = _address(arrays["constant"], self.keep)
        p.floor = _address(arrays["floor"], self.keep)
        p.output_gain = _address(arrays["output_gain"], self.keep)
        if p.spiking:
            p.least = _address(arrays["least"], self.keep)
            p.threshold = _address(arrays["threshold"], self.keep)
            p.amount = _address(arrays["amount"], self.keep)
            p.value = _address(arrays["reset"], self.keep)
            p.hold = _address(arrays["hold"], self.keep)

    def add_synapse(self, ptrdiff_t n, int source, int delay, switches, arrays):
        """Add synapses; switches and arrays in the order of `synapse_t`."""
        cdef Op *op = self._add(SYNAPSE, n, source, delay)
        cdef synapse_t *p = &op.synapse
        p.n = n
        p.receptors, p.kind, p.order, p.decay = switches
        p.leak = _address(arrays["leak"], self.keep)
        p.tau = _address(arrays["tau"], self.keep)
        p.gain = _address(arrays["gain"], self.keep)
        p.output_gain = _address(arrays["output_gain"], self.keep)
        p.leak_rise = _address(arrays["leak_rise"], self.keep)
        p.tau_rise = _address(arrays["tau_rise"], self.keep)

    def parts_are(self, parts):
        """State the components in order: (first operation, last, whether they form a cycle)."""
        self.n_parts = len(parts)
        for i, (first, last, looped) in enumerate(parts):
            self.parts[3 * i] = first
            self.parts[3 * i + 1] = last
            self.parts[3 * i + 2] = looped

    def bind(self, int op, state, second, counts):
        """Give an operation its state, (batch, n) each, or None."""
        self.ops[op].state = NULL if state is None else _address(state, self.keep)
        self.ops[op].second = NULL if second is None else _address(second, self.keep)
        self.ops[op].counts = NULL if counts is None else <int64_t *> _address(counts, self.keep)

    def bind_past(self, int node, past):
        """Give a node the rows of earlier steps, (batch, history, n)."""
        self.nodes[node].past = _address(past, self.keep)

    def batch_is(self, ptrdiff_t batch):
        """State the number of samples."""
        self.batch = batch

    def record(self, int op, shown, list keep):
        """Write an operation's trace into this array, (steps, batch, n), or nowhere."""
        self.ops[op].shown = NULL if shown is None else _address(shown, keep)


cdef class Worker:
    """One thread's buffers for a group of samples and a block of steps."""

    cdef Program program
    cdef View *views
    cdef void **blocks
    cdef int n_blocks
    cdef ptrdiff_t group, steps
    cdef char *work
    cdef double *sums
    cdef double *values
    cdef double *rows
    cdef double *panel
    cdef double *products
    cdef int *dense
    cdef int *sparse
    cdef list stimuli
    cdef char **direct

    def __cinit__(self, Program program, ptrdiff_t group, ptrdiff_t steps):
        cdef int i
        cdef ptrdiff_t cells, widest_sum = TILE
        cdef Node *node
        cdef Op *op
        self.program = program
        self.group, self.steps = group, steps
        self.stimuli = []
        self.blocks = <void **> calloc(4 * program.n_nodes + 10, sizeof(void *))
        self.views = <View *> self._take(program.n_nodes * sizeof(View))
        for i in range(program.n_nodes):
            node = &program.nodes[i]
            cells = group * (node.history + steps)
            self.views[i].rows = <char *> self._take(cells * node.n * program.item)
            if node.events:
                self.views[i].index = <int32_t *> self._take(
                    (cells * (node.n + _SLACK)) * sizeof(int32_t))
                self.views[i].count = <int32_t *> self._take(cells * sizeof(int32_t))
                self.views[i].binary = <uint8_t *> self._take(cells)
            op = &program.ops[i]
            if op.kind == CONV:
                widest_sum = max(widest_sum, op.n_out)
            elif op.kind == POOL:
                widest_sum = max(widest_sum, op.n_out)
        self.work = <char *> self._take(4 * (program.widest + 1) * program.item)
        self.sums = <double *> self._take(widest_sum * sizeof(double))
        self.values = <double *> self._take((program.widest + 1) * sizeof(double))
        self.dense = <int *> self._take(group * steps * sizeof(int))
        self.sparse = <int *> self._take(group * steps * sizeof(int))

    cdef void *_take(self, size_t size) except NULL:
        cdef void *block = malloc(max(size, 64))
        if block == NULL:
            raise MemoryError
        self.blocks[self.n_blocks] = block
        self.n_blocks += 1
        return block

    def __dealloc__(self):
        cdef int i
        if self.blocks != NULL:
            for i in range(self.n_blocks):
                free(self.blocks[i])
        free(self.blocks)
        free(self.rows)
        free(self.panel)
        free(self.products)

    def stimulate(self, int op, array, int kind, ptrdiff_t step_stride, ptrdiff_t sample_stride):
        """Hand in an input's block, (steps, samples of the group, n) with these strides in bytes.

        `kind` is 0 for float32, 1 for float64, 2 for bytes.
        """
        pass

    def run(self, stimuli, ptrdiff_t first_sample, ptrdiff_t samples, ptrdiff_t steps,
            int64_t first_step, ptrdiff_t recorded_from):
        """Run a block of steps of a group of samples.

        Parameters
        ----------
        stimuli : list of (operation, array as bytes, kind, bytes a step, bytes a sample)
        first_sample, samples : int
        steps : int
        first_step : int
            The index of the block's first step, for clocks.
        recorded_from : int
            The row of the recordings that the block's first step goes to.

        Returns
        -------
        int
            -1, or the operation whose input holds a number that is not finite.
        """
        cdef list keep = []
        cdef int failed
        cdef Stimulus *given = <Stimulus *> calloc(len(stimuli) + 1, sizeof(Stimulus))
        cdef int n = len(stimuli), i
        if given == NULL:
            raise MemoryError
        try:
            for i in range(n):
                op, array, kind, step_stride, sample_stride = stimuli[i]
                given[i].op = op
                given[i].data = <const char *> _address(array, keep)
                given[i].kind = kind
                given[i].step_stride = step_stride
                given[i].sample_stride = sample_stride
            with nogil:
                failed = self._run(given, n, first_sample, samples, steps, first_step,
                                   recorded_from)
        finally:
            free(given)
        return failed

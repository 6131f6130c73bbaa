# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The engine of the simulator: a program of operations over blocks of samples and steps.

A program is built once from a network's layers. Each operation writes one node: a row of numbers
for each sample and step, in the width of the network, with the rows of earlier steps that delayed
connections look back at before them. A worker runs a program over a group of samples and a block
of steps without the GIL; operations outside cycles run the whole block at once, those on a cycle
step by step together.
"""

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "_kernel.h" nogil:
    enum: TILE
    ctypedef struct neuron_t:
        ptrdiff_t n
        int form, spiking, reset, timing, old, refractory, float_clock, raw, shifted_floor
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
    ctypedef struct sums_t:
        ptrdiff_t n_in, n_out
        const void *weight
        int wide, wide_rows
        const double *bias
        double *widened
    ctypedef struct row_t:
        const int32_t *index
        ptrdiff_t count
        const void *x
        void *out
    int pack_float(const char *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, float *)
    int pack_double(const char *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, double *)
    ctypedef ptrdiff_t (*scan_f)(const void *, ptrdiff_t, int32_t *, int *) noexcept nogil
    ctypedef ptrdiff_t (*scan_bytes_f)(const uint8_t *, ptrdiff_t, int32_t *, int *) noexcept nogil
    ctypedef void (*events_f)(const sums_t *, const row_t *, ptrdiff_t) noexcept nogil
    ctypedef void (*dense_f)(const double *, ptrdiff_t, ptrdiff_t, const double *, double *,
                             int) noexcept nogil
    ctypedef void (*conv_f)(const conv_t *, const int32_t *, ptrdiff_t, const double *,
                            double *) noexcept nogil
    ctypedef void (*finish_f)(void *, const double *, const double *, ptrdiff_t) noexcept nogil
    ctypedef void (*conv_finish_f)(void *, const double *, const double *, ptrdiff_t,
                                   ptrdiff_t) noexcept nogil
    ctypedef void (*neuron_f)(const neuron_t *, void *, const void *const *, int, void *, void *,
                              void *, void *, float) noexcept nogil
    ctypedef void (*synapse_f)(const synapse_t *, void *, void *, const void *const *, int,
                               void *) noexcept nogil
    ctypedef void (*add_f)(void *, const void *, ptrdiff_t) noexcept nogil
    ctypedef void (*convert_f)(void *, const void *, int, ptrdiff_t) noexcept nogil
    ctypedef int (*finite_f)(const void *, ptrdiff_t) noexcept nogil
    ctypedef void (*spikes_f)(void *, const void *, const void *, ptrdiff_t, int) noexcept nogil
    ctypedef struct lanes_t:
        scan_f scan[2]
        scan_bytes_f scan_bytes
        events_f events
        dense_f dense
        ptrdiff_t panel
        conv_f conv
        finish_f finish[2]
        conv_finish_f conv_finish[2]
        neuron_f neuron[2]
        synapse_f synapse[2]
        add_f add[2]
        convert_f convert[2]
        finite_f finite[2]
        spikes_f spikes[2]
    const lanes_t *LANES_OF[3]
    int best_lanes()

cdef enum Kind:
    INPUT, SUM, LINEAR, CONV, POOL, MAXPOOL, PERMUTE, DELAYS, SCALE, NORM, NEURON, SYNAPSE

cdef enum:
    SLACK = 16  # indices that a scan may write beyond the last
    CHUNK = 96  # rows of a dense product at a time
    INPUTS = 64  # the most that a step adds in turn
    FEWEST = 4  # rows for which a panel of weights is worth widening
    ROOM = 5 << 18  # bytes of a widened tile; it is to stay in a processor's own cache
    OFTEN = 3  # events for each input from which a tile is worth widening

cdef struct Node:
    ptrdiff_t n
    ptrdiff_t history  # rows kept of earlier steps
    bint events  # somebody reads the indices of what is not zero
    bint numbers  # somebody reads the numbers themselves
    void *past  # (batch, history, n)

cdef struct Op:
    Kind kind
    int node
    int source
    int delay
    ptrdiff_t n_in
    ptrdiff_t n_out
    int sources  # of a sum, or of a step that adds its inputs in turn
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
    void *state  # (batch, n): membrane potential, or synaptic current
    void *second  # (batch, n): refractory clock, or rising current
    void *shown  # (steps, batch, n) of this block: the trace, or NULL

cdef struct View:  # a node's rows in one worker
    char *rows
    char *own  # rows, unless they are those of the stimulus itself
    ptrdiff_t sample_stride  # in bytes
    ptrdiff_t step_stride
    int32_t *index
    int32_t *count
    uint8_t *binary

cdef struct Stimulus:
    int node
    const char *data
    int kind  # 0 float32, 1 float64, 2 bytes
    ptrdiff_t step_stride
    ptrdiff_t sample_stride

cdef enum Wanted:
    VALUES, SPIKES_8, SPIKES_32, COUNTS

cdef struct Tap:  # what is read off a node after a block
    int node
    int delay
    Wanted wanted
    void *gain  # of the spikes, or NULL where it is 1 throughout
    void *out  # (steps, batch, n); (batch, n) for counts

ctypedef fused real:
    float
    double


cdef void *_address(object array, list keep) except NULL:
    """Return the address of an array's first byte, and keep the array."""
    cdef const uint8_t[::1] flat = memoryview(array).cast("B")
    keep.append(array)
    return <void *> &flat[0]


def pack(const real[:, :] weight, packed):
    """Copy weights (out, in) into tiles; see `sums_t`.

    Parameters
    ----------
    weight : array of float32 or float64
        Of any strides.
    packed : array of the same type
        Zeros, (out filled to 8) * in of them.

    Returns
    -------
    bool
        Whether all weights are finite.
    """
    cdef list keep = []
    cdef void *to = _address(packed, keep)
    cdef ptrdiff_t outputs = weight.shape[0], inputs = weight.shape[1]
    cdef ptrdiff_t row = weight.strides[0], column = weight.strides[1]
    cdef const char *x = <const char *> &weight[0, 0]
    cdef int finite
    with nogil:
        if real is double:
            finite = pack_double(x, row, column, outputs, inputs, <double *> to)
        else:
            finite = pack_float(x, row, column, outputs, inputs, <float *> to)
    return finite != 0


def instruction_sets():
    """Return the names of the instruction sets that this processor has, best last."""
    return ("baseline", "avx2", "avx512")[: best_lanes() + 1]


@cython.final
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
    cdef int chosen
    cdef const lanes_t *lanes
    cdef list keep
    cdef int *parts  # (first, last, looped) of each component
    cdef int n_parts
    cdef ptrdiff_t batch
    cdef ptrdiff_t widest

    def __cinit__(self, bint double_precision, int room, int lanes=-1):
        self.width = double_precision
        self.item = 8 if double_precision else 4
        self.chosen = best_lanes() if lanes < 0 else min(lanes, best_lanes())
        self.lanes = LANES_OF[self.chosen]
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
        self.widest = max(self.widest, n, op.n_in)
        self.n_ops += 1
        self.n_nodes = self.n_ops
        return op

    def fork(self):
        """Return a program of the same operations and weights, for one run's states and traces."""
        cdef Program made = Program(self.width, self.room, self.chosen)
        memcpy(made.ops, self.ops, self.n_ops * sizeof(Op))
        memcpy(made.nodes, self.nodes, self.room * sizeof(Node))
        memcpy(made.parts, self.parts, 3 * self.n_parts * sizeof(int))
        made.n_ops, made.n_nodes, made.n_parts = self.n_ops, self.n_nodes, self.n_parts
        made.widest = self.widest
        made.keep = list(self.keep)
        return made

    # Every node is declared before the operations are described, as cycles name later ones.

    def declare(self, int node, ptrdiff_t n, ptrdiff_t history, bint events, bint numbers):
        """Say how many numbers a node has, how far back others look, and what they look at."""
        self.nodes[node].n = n
        self.nodes[node].history = history
        self.nodes[node].events = events
        self.nodes[node].numbers = numbers

    def add_input(self, ptrdiff_t n):
        """Add a node that the stimulus fills."""
        self._add(INPUT, n, -1, 0)

    def add_sum(self, ptrdiff_t n, int count, sources, delays):
        """Add the sum of nodes in this order, each so many steps ago; zeros for none."""
        cdef Op *op = self._add(SUM, n, -1, 0)
        op.sources = count
        op.source_of = <int *> _address(sources, self.keep)
        op.delay_of = <int *> _address(delays, self.keep)

    def also_reads(self, int op, int count, sources, delays):
        """Have an operation's step add several inputs in turn: all of them, the first too."""
        if count > INPUTS:
            raise ValueError(f"a step adds at most {INPUTS} inputs in turn")
        self.ops[op].sources = count
        self.ops[op].source_of = <int *> _address(sources, self.keep)
        self.ops[op].delay_of = <int *> _address(delays, self.keep)

    def add_linear(self, ptrdiff_t n, int source, int delay, weight, bint wide, bias):
        """Add a product with weights packed in tiles; see `pack`. The bias is filled as they are."""
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
         p.raw, p.shifted_floor) = switches
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

    def bind(self, int op, state, second):
        """Give an operation its state, (batch, n) each, or None."""
        self.ops[op].state = NULL if state is None else _address(state, self.keep)
        self.ops[op].second = NULL if second is None else _address(second, self.keep)

    def bind_past(self, int node, past):
        """Give a node the rows of earlier steps, (batch, history, n)."""
        self.nodes[node].past = _address(past, self.keep)

    def batch_is(self, ptrdiff_t batch):
        """State the number of samples."""
        self.batch = batch

    def show(self, int op, shown, list keep):
        """Write an operation's state after each step into (steps, batch, n), or nowhere."""
        self.ops[op].shown = NULL if shown is None else _address(shown, keep)


@cython.final
cdef class Worker:
    """One thread's buffers for a group of samples and a block of steps.

    Parameters
    ----------
    program : Program
    group, steps : int
        The most samples and steps of one run.
    """

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
    cdef double *widened
    cdef row_t *sparse
    cdef int *dense
    cdef int *copies

    def __cinit__(self, Program program, ptrdiff_t group, ptrdiff_t steps):
        cdef int i
        cdef ptrdiff_t cells, widest_sum = TILE, widest_in = 1, widened = 1
        cdef Node *node
        cdef Op *op
        self.program = program
        self.group, self.steps = group, steps
        self.blocks = <void **> calloc(4 * program.n_nodes + 10, sizeof(void *))
        if self.blocks == NULL:
            raise MemoryError
        self.views = <View *> self._take(program.n_nodes * sizeof(View))
        memset(self.views, 0, program.n_nodes * sizeof(View))
        for i in range(program.n_nodes):
            node = &program.nodes[i]
            cells = group * (node.history + steps)
            self.views[i].own = <char *> self._take(cells * node.n * program.item)
            self._own_rows(i)
            if node.events:
                self.views[i].index = <int32_t *> self._take(
                    cells * (node.n + SLACK) * sizeof(int32_t))
                self.views[i].count = <int32_t *> self._take(cells * sizeof(int32_t))
                self.views[i].binary = <uint8_t *> self._take(cells)
            op = &program.ops[i]
            if op.kind == CONV or op.kind == POOL:
                widest_sum = max(widest_sum, op.n_out)
            if op.kind == LINEAR:
                widest_in = max(widest_in, op.n_in)
                if _fits(op):
                    widened = max(widened, op.n_in * TILE)
        self.work = <char *> self._take(4 * program.widest * program.item)
        self.sums = <double *> self._take(widest_sum * sizeof(double))
        self.values = <double *> self._take(program.widest * sizeof(double))
        self.rows = <double *> self._take(CHUNK * widest_in * sizeof(double))
        self.panel = <double *> self._take(widest_in * program.lanes.panel * sizeof(double))
        self.products = <double *> self._take(CHUNK * program.lanes.panel * sizeof(double))
        self.dense = <int *> self._take(group * steps * sizeof(int))
        self.widened = <double *> self._take(widened * sizeof(double))
        self.sparse = <row_t *> self._take(group * steps * sizeof(row_t))
        self.copies = <int *> self._take(group * steps * sizeof(int))

    cdef void _own_rows(self, int node) noexcept nogil:
        cdef View *view = &self.views[node]
        cdef ptrdiff_t row = self.program.nodes[node].n * self.program.item
        view.rows = view.own
        view.step_stride = row
        view.sample_stride = (self.program.nodes[node].history + self.steps) * row

    cdef void *_take(self, size_t size) except NULL:
        """Return room that starts with a line of the cache."""
        cdef char *block = <char *> malloc(size + 64)
        if block == NULL:
            raise MemoryError
        self.blocks[self.n_blocks] = block
        self.n_blocks += 1
        return block + (64 - <size_t> block % 64)

    def attach(self, Program program):
        """Work for another run of the same network, with as many steps kept of each node."""
        self.program = program

    def __dealloc__(self):
        cdef int i
        if self.blocks != NULL:
            for i in range(self.n_blocks):
                free(self.blocks[i])
        free(self.blocks)

    def run(self, list stimuli, list taps, ptrdiff_t first_sample, ptrdiff_t samples,
            ptrdiff_t steps, int64_t first_step, ptrdiff_t first_row):
        """Run a block of steps of a group of samples.

        Parameters
        ----------
        stimuli : list of (node, array, offset, kind, bytes a step, bytes a sample)
            `offset` is where, in bytes, the block's first row of the first sample stands; `kind`
            is 0 for float32, 1 for float64, 2 for bytes.
        taps : list of (node, delay, wanted, gain or None, array)
            What to read off: 0 numbers, 1 spikes as bytes, 2 spikes as int32, of shape
            (steps, batch, n); 3 counts, of shape (batch, n), to which is added.
        first_sample, samples, steps : int
        first_step : int
            The index of the block's first step, for clocks.
        first_row : int
            The row of the recordings that the block's first step goes to.

        Returns
        -------
        int
            -1, or the node whose stimulus holds a number that is not finite.
        """
        cdef list keep = []
        cdef int failed = -1, i
        cdef Stimulus *given = <Stimulus *> calloc(len(stimuli) + 1, sizeof(Stimulus))
        cdef Tap *read = <Tap *> calloc(len(taps) + 1, sizeof(Tap))
        cdef int n_given = len(stimuli), n_read = len(taps)
        cdef ptrdiff_t offset
        try:
            if given == NULL or read == NULL:
                raise MemoryError
            for i, (node, array, at, kind, step_stride, sample_stride) in enumerate(stimuli):
                offset = at
                given[i].node = node
                given[i].data = <const char *> _address(array, keep) + offset
                given[i].kind = kind
                given[i].step_stride = step_stride
                given[i].sample_stride = sample_stride
            for i, (node, delay, wanted, gain, array) in enumerate(taps):
                read[i].node, read[i].delay, read[i].wanted = node, delay, wanted
                read[i].gain = NULL if gain is None else _address(gain, keep)
                read[i].out = _address(array, keep)
            with nogil:
                failed = self._blocks(given, n_given, read, n_read, first_sample, samples, steps,
                                      first_step, first_row)
        finally:
            free(given)
            free(read)
        return failed

    cdef int _blocks(self, Stimulus *given, int n_given, Tap *read, int n_read,
                     ptrdiff_t first_sample, ptrdiff_t samples, ptrdiff_t steps,
                     int64_t first_step, ptrdiff_t first_row) noexcept nogil:
        """Cut the work into what the buffers hold: groups of samples, each block after block."""
        cdef ptrdiff_t s = 0, t, group, some
        cdef int failed
        while s < samples:
            group = min(self.group, samples - s)
            t = 0
            while t < steps:
                some = min(self.steps, steps - t)
                failed = self._block(given, n_given, read, n_read, first_sample, s, group, t,
                                     some, first_step, first_row)
                if failed >= 0:
                    return failed
                t += some
            s += group
        return -1

    cdef int _block(self, Stimulus *given, int n_given, Tap *read, int n_read,
                    ptrdiff_t first_sample, ptrdiff_t s, ptrdiff_t samples, ptrdiff_t t,
                    ptrdiff_t steps, int64_t first_step, ptrdiff_t first_row) noexcept nogil:
        cdef int i
        for i in range(n_given):
            self._own_rows(given[i].node)
        first_sample += s
        first_step += t
        first_row += t
        self._recall(first_sample, samples)
        for i in range(n_given):
            if not self._feed(&given[i], s, samples, t, steps):
                return given[i].node
        for i in range(self.program.n_parts):
            self._part(&self.program.parts[3 * i], first_sample, samples, steps, first_step,
                       first_row)
        for i in range(n_read):
            self._read(&read[i], first_sample, samples, steps, first_row)
        self._keep(first_sample, samples, steps)
        return -1

    cdef void _part(self, const int *part, ptrdiff_t first_sample, ptrdiff_t samples,
                    ptrdiff_t steps, int64_t first_step, ptrdiff_t first_row) noexcept nogil:
        """Run operations over the whole block each, or a cycle of them step by step."""
        cdef ptrdiff_t t
        cdef int op
        if not part[2]:
            for op in range(part[0], part[1] + 1):
                self._operate(op, first_sample, samples, 0, steps, first_step, first_row)
            return
        for t in range(steps):
            for op in range(part[0], part[1] + 1):
                self._operate(op, first_sample, samples, t, t + 1, first_step, first_row)

    # Rows

    cdef char *_row(self, int node, ptrdiff_t s, ptrdiff_t t) noexcept nogil:
        cdef View *view = &self.views[node]
        return (view.rows + s * view.sample_stride
                + (self.program.nodes[node].history + t) * view.step_stride)

    cdef ptrdiff_t _cell(self, int node, ptrdiff_t s, ptrdiff_t t) noexcept nogil:
        cdef ptrdiff_t history = self.program.nodes[node].history
        return s * (history + self.steps) + history + t

    cdef int32_t *_index(self, int node, ptrdiff_t cell) noexcept nogil:
        return self.views[node].index + cell * (self.program.nodes[node].n + SLACK)

    cdef void _publish(self, int node, ptrdiff_t s, ptrdiff_t t) noexcept nogil:
        """Find the events of a row that is now complete."""
        cdef Node *own = &self.program.nodes[node]
        cdef View *view = &self.views[node]
        cdef ptrdiff_t cell
        cdef int binary = 1
        if own.events:
            cell = self._cell(node, s, t)
            view.count[cell] = <int32_t> self.program.lanes.scan[self.program.width](
                self._row(node, s, t), own.n, self._index(node, cell), &binary)
            view.binary[cell] = binary

    cdef void _recall(self, ptrdiff_t first_sample, ptrdiff_t samples) noexcept nogil:
        """Put the rows of earlier steps before those of this block."""
        cdef int node
        cdef ptrdiff_t s, t, history, size
        for node in range(self.program.n_nodes):
            history = self.program.nodes[node].history
            size = self.program.nodes[node].n * self.program.item
            for s in range(samples):
                if history:
                    memcpy(self._row(node, s, -history),
                           <char *> self.program.nodes[node].past
                           + (first_sample + s) * history * size, history * size)
                for t in range(-history, 0):
                    self._publish(node, s, t)

    cdef void _keep(self, ptrdiff_t first_sample, ptrdiff_t samples,
                    ptrdiff_t steps) noexcept nogil:
        """Keep the last rows for the next block."""
        cdef int node
        cdef ptrdiff_t s, history, size
        for node in range(self.program.n_nodes):
            history = self.program.nodes[node].history
            size = self.program.nodes[node].n * self.program.item
            if history:
                for s in range(samples):
                    memcpy(<char *> self.program.nodes[node].past
                           + (first_sample + s) * history * size,
                           self._row(node, s, steps - history), history * size)

    # Input

    cdef bint _feed(self, Stimulus *given, ptrdiff_t first_sample, ptrdiff_t samples,
                    ptrdiff_t first_step, ptrdiff_t steps) noexcept nogil:
        """Take the rows of a stimulus; False where a number is not finite."""
        cdef const char *data = (given.data + first_sample * given.sample_stride
                                 + first_step * given.step_stride)
        cdef View *view = &self.views[given.node]
        cdef ptrdiff_t s, t
        if given.kind == self.program.width and not self.program.nodes[given.node].history:
            view.rows = <char *> data
            view.step_stride, view.sample_stride = given.step_stride, given.sample_stride
        for t in range(steps):  # the order in which the stimulus lies in memory
            for s in range(samples):
                if not self._take_row(given, s, t, data + t * given.step_stride
                                      + s * given.sample_stride):
                    return False
        return True

    cdef bint _take_row(self, Stimulus *given, ptrdiff_t s, ptrdiff_t t,
                        const char *source) noexcept nogil:
        cdef int node = given.node
        cdef Node *own = &self.program.nodes[node]
        cdef View *view = &self.views[node]
        cdef ptrdiff_t cell = self._cell(node, s, t)
        cdef bint copied = view.rows != view.own
        cdef int binary = 0
        if own.events and given.kind == 2:
            view.count[cell] = <int32_t> self.program.lanes.scan_bytes(
                <const uint8_t *> source, own.n, self._index(node, cell), &binary)
            view.binary[cell] = binary
            # A row of mostly ones is multiplied as numbers.
            copied = (binary and not own.numbers and not own.history
                      and view.count[cell] * 2 <= own.n)
        if not copied:
            self.program.lanes.convert[self.program.width](
                self._row(node, s, t), source, given.kind, own.n)
        if given.kind == 2:
            return True
        self._publish(node, s, t)
        if own.events and view.binary[cell]:
            return True
        return self.program.lanes.finite[self.program.width](self._row(node, s, t), own.n)

    # Operations

    cdef void _operate(self, int number, ptrdiff_t first_sample, ptrdiff_t samples, ptrdiff_t t0,
                       ptrdiff_t t1, int64_t first_step, ptrdiff_t first_row) noexcept nogil:
        cdef Op *op = &self.program.ops[number]
        cdef ptrdiff_t s, t
        if op.kind == INPUT:
            return
        if op.kind == LINEAR:
            self._linear(op, samples, t0, t1)
        elif op.kind == CONV or op.kind == POOL:
            self._windows(op, samples, t0, t1)
        elif op.kind == NEURON:
            self._neuron(op, first_sample, samples, t0, t1, first_step, first_row)
        elif op.kind == SYNAPSE:
            self._synapse(op, first_sample, samples, t0, t1, first_row)
        else:
            for s in range(samples):
                for t in range(t0, t1):
                    if self.program.width:
                        self._simple(op, s, t, <double> 0)
                    else:
                        self._simple(op, s, t, <float> 0)
        for s in range(samples):
            for t in range(t0, t1):
                self._publish(op.node, s, t)

    cdef void _simple(self, Op *op, ptrdiff_t s, ptrdiff_t t, real tag) noexcept nogil:
        cdef real *out = <real *> self._row(op.node, s, t)
        cdef const real *x = NULL
        cdef ptrdiff_t j
        if op.kind == SUM:
            self._sum(op, s, t)
            return
        x = <real *> self._row(op.source, s, t - op.delay)
        if op.kind == PERMUTE:
            for j in range(op.n_out):
                out[j] = x[op.table[j]]
        elif op.kind == DELAYS:
            for j in range(op.n_out):
                out[j] = (<real *> self._row(op.source, s, t - op.delay - op.table[j]))[j]
        elif op.kind == SCALE:
            for j in range(op.n_out):
                out[j] = <real> (op.a[j] * x[j])
        elif op.kind == NORM:
            for j in range(op.n_out):
                out[j] = <real> (((x[j] - op.a[j]) / op.b[j]) * op.c[j] + op.d[j])
        else:
            _largest(op, out, x)

    cdef void _sum(self, Op *op, ptrdiff_t s, ptrdiff_t t) noexcept nogil:
        cdef char *out = self._row(op.node, s, t)
        cdef char *x
        cdef int k
        if op.sources == 0:
            memset(out, 0, op.n_out * self.program.item)
        for k in range(op.sources):
            x = self._row(op.source_of[k], s, t - op.delay_of[k])
            if k == 0:
                memcpy(out, x, op.n_out * self.program.item)
            else:
                self.program.lanes.add[self.program.width](out, x, op.n_out)

    cdef const double *_values(self, Op *op, ptrdiff_t s, ptrdiff_t t) noexcept nogil:
        """Return the values of a row's events in float64, or NULL where all are 1."""
        cdef ptrdiff_t cell = self._cell(op.source, s, t - op.delay), k
        cdef int32_t *index = self._index(op.source, cell)
        cdef char *x
        if self.views[op.source].binary[cell]:
            return NULL
        x = self._row(op.source, s, t - op.delay)
        if self.program.width:
            for k in range(self.views[op.source].count[cell]):
                self.values[k] = (<double *> x)[index[k]]
        else:
            for k in range(self.views[op.source].count[cell]):
                self.values[k] = (<float *> x)[index[k]]
        return self.values

    cdef bint _repeats(self, Op *op, ptrdiff_t s, ptrdiff_t t) noexcept nogil:
        """Whether a source's row equals that of the step before, bit for bit."""
        cdef View *view = &self.views[op.source]
        cdef ptrdiff_t now = self._cell(op.source, s, t - op.delay)
        if view.count[now] != view.count[now - 1] or view.binary[now] != view.binary[now - 1]:
            return False
        if memcmp(self._index(op.source, now), self._index(op.source, now - 1),
                  view.count[now] * sizeof(int32_t)) != 0:
            return False
        return view.binary[now] or memcmp(
            self._row(op.source, s, t - op.delay), self._row(op.source, s, t - op.delay - 1),
            op.n_in * self.program.item) == 0

    cdef void _linear(self, Op *op, ptrdiff_t samples, ptrdiff_t t0, ptrdiff_t t1) noexcept nogil:
        """Sort the rows into few events, many numbers, and copies of the row before."""
        cdef ptrdiff_t s, t
        cdef int n_sparse = 0, n_dense = 0, n_copies = 0, k
        for s in range(samples):
            for t in range(t0, t1):
                if t > t0 and self._repeats(op, s, t):
                    self.copies[n_copies] = <int> (s * self.steps + t)
                    n_copies += 1
                elif self.views[op.source].count[
                        self._cell(op.source, s, t - op.delay)] * 2 > op.n_in:
                    self.dense[n_dense] = <int> (s * self.steps + t)
                    n_dense += 1
                else:
                    self._describe(op, s, t, &self.sparse[n_sparse])
                    n_sparse += 1
        if n_dense < FEWEST:
            for k in range(n_dense):
                s, t = self.dense[k] // self.steps, self.dense[k] % self.steps
                self._describe(op, s, t, &self.sparse[n_sparse])
                n_sparse += 1
        else:
            self._dense(op, n_dense)
        self._sparse(op, n_sparse)
        for k in range(n_copies):
            s, t = self.copies[k] // self.steps, self.copies[k] % self.steps
            memcpy(self._row(op.node, s, t), self._row(op.node, s, t - 1),
                   op.n_out * self.program.item)

    cdef void _describe(self, Op *op, ptrdiff_t s, ptrdiff_t t, row_t *row) noexcept nogil:
        """Point to the events of a row and to where their sums go."""
        cdef View *view = &self.views[op.source]
        cdef ptrdiff_t cell = self._cell(op.source, s, t - op.delay)
        row.index = self._index(op.source, cell)
        row.count = view.count[cell]
        row.x = NULL if view.binary[cell] else self._row(op.source, s, t - op.delay)
        row.out = self._row(op.node, s, t)

    cdef void _sparse(self, Op *op, int n_rows) noexcept nogil:
        """Sum the weights of events, of tiles in float64 where that pays."""
        cdef sums_t sums
        cdef ptrdiff_t events = 0
        cdef int k
        if _fits(op):
            for k in range(n_rows):
                events += self.sparse[k].count
        sums.n_in, sums.n_out = op.n_in, op.n_out
        sums.weight, sums.wide, sums.wide_rows = op.weight, op.wide, self.program.width
        sums.bias = op.bias
        sums.widened = self.widened if events > OFTEN * op.n_in else NULL
        self.program.lanes.events(&sums, self.sparse, n_rows)

    cdef void _dense(self, Op *op, int n_rows) noexcept nogil:
        """Multiply blocks of rows by panels of weights, both widened to float64 once."""
        cdef ptrdiff_t first, start, at, width, held, tile, s, t, panel = self.program.lanes.panel
        cdef ptrdiff_t chunk, r
        cdef bint exact = not op.wide and self.program.width == 0
        start = 0
        while start < n_rows:
            chunk = min(<ptrdiff_t> CHUNK, n_rows - start)
            for r in range(chunk):
                s, t = self.dense[start + r] // self.steps, self.dense[start + r] % self.steps
                self.program.lanes.convert[1](
                    self.rows + r * op.n_in, self._row(op.source, s, t - op.delay),
                    self.program.width, op.n_in)
            tile = first = 0
            while first < op.n_out:
                width = (min(<ptrdiff_t> TILE, op.n_out - first) + 7) // 8 * 8
                at = 0
                while at < width:
                    self._widen(op, tile, width, at)
                    self.program.lanes.dense(self.rows, chunk, op.n_in, self.panel, self.products,
                                             exact)
                    held = min(panel, op.n_out - first - at)
                    if held > 0:
                        self._finish(op, start, chunk, first + at, held)
                    at += panel
                tile += width * op.n_in
                first += TILE
            start += CHUNK

    cdef void _widen(self, Op *op, ptrdiff_t tile, ptrdiff_t width, ptrdiff_t at) noexcept nogil:
        """Copy a panel of a tile's outputs, zeros after the last."""
        cdef ptrdiff_t i, panel = self.program.lanes.panel, held = min(panel, width - at)
        cdef ptrdiff_t size = 8 if op.wide else 4
        cdef char *weight = <char *> op.weight + (tile + at) * size
        cdef double *row
        for i in range(op.n_in):
            row = self.panel + i * panel
            self.program.lanes.convert[1](row, weight + i * width * size, op.wide, held)
            if held < panel:
                memset(row + held, 0, (panel - held) * sizeof(double))

    cdef void _finish(self, Op *op, ptrdiff_t start, ptrdiff_t chunk, ptrdiff_t first,
                      ptrdiff_t held) noexcept nogil:
        cdef ptrdiff_t r, s, t
        for r in range(chunk):
            s, t = self.dense[start + r] // self.steps, self.dense[start + r] % self.steps
            self.program.lanes.finish[self.program.width](
                self._row(op.node, s, t) + first * self.program.item,
                self.products + r * self.program.lanes.panel,
                NULL if op.bias == NULL else op.bias + first, held)

    cdef void _windows(self, Op *op, ptrdiff_t samples, ptrdiff_t t0,
                       ptrdiff_t t1) noexcept nogil:
        """Let each event add to the windows that it lies in."""
        cdef ptrdiff_t s, t, cell, places = (op.conv.window.out_height
                                             * op.conv.window.out_width)
        cdef const double *values
        cdef View *view = &self.views[op.source]
        for s in range(samples):
            for t in range(t0, t1):
                if t > t0 and self._repeats(op, s, t):
                    memcpy(self._row(op.node, s, t), self._row(op.node, s, t - 1),
                           op.n_out * self.program.item)
                    continue
                cell = self._cell(op.source, s, t - op.delay)
                values = self._values(op, s, t)
                memset(self.sums, 0, op.n_out * sizeof(double))
                if op.kind == CONV:
                    self.program.lanes.conv(&op.conv, self._index(op.source, cell),
                                            view.count[cell], values, self.sums)
                    self.program.lanes.conv_finish[self.program.width](
                        self._row(op.node, s, t), self.sums, op.bias, places, op.conv.outputs)
                    continue
                _pool(op, self._index(op.source, cell), view.count[cell], values, self.sums)
                self.program.lanes.finish[self.program.width](
                    self._row(op.node, s, t), self.sums, NULL, op.n_out)

    cdef int _inputs(self, Op *op, ptrdiff_t s, ptrdiff_t t, const void **x) noexcept nogil:
        """Point to the rows that a step reads."""
        cdef int k
        if op.sources == 0:
            x[0] = self._row(op.source, s, t - op.delay)
            return 1
        for k in range(op.sources):
            x[k] = self._row(op.source_of[k], s, t - op.delay_of[k])
        return op.sources

    cdef void _neuron(self, Op *op, ptrdiff_t first_sample, ptrdiff_t samples, ptrdiff_t t0,
                      ptrdiff_t t1, int64_t first_step, ptrdiff_t first_row) noexcept nogil:
        cdef ptrdiff_t s, t, sample, size = op.n_out * self.program.item
        cdef ptrdiff_t tick = op.n_out * (4 if op.neuron.float_clock else 8)
        cdef char *shown = NULL
        cdef char *clock = NULL
        cdef const void *x[INPUTS]
        cdef int inputs
        for s in range(samples):
            sample = first_sample + s
            if op.second != NULL:
                clock = <char *> op.second + sample * tick
            for t in range(t0, t1):
                if op.shown != NULL:
                    shown = (<char *> op.shown
                             + ((first_row + t) * self.program.batch + sample) * size)
                inputs = self._inputs(op, s, t, x)
                self.program.lanes.neuron[self.program.width](
                    &op.neuron, <char *> op.state + sample * size, x, inputs,
                    self._row(op.node, s, t), shown, self.work, clock,
                    <float> (first_step + t) * op.clock_step)

    cdef void _synapse(self, Op *op, ptrdiff_t first_sample, ptrdiff_t samples, ptrdiff_t t0,
                       ptrdiff_t t1, ptrdiff_t first_row) noexcept nogil:
        cdef ptrdiff_t s, t, sample
        cdef ptrdiff_t size = op.n_out * op.synapse.receptors * self.program.item
        cdef char *second = NULL
        cdef const void *x[INPUTS]
        cdef int inputs
        for s in range(samples):
            sample = first_sample + s
            if op.second != NULL:
                second = <char *> op.second + sample * size
            for t in range(t0, t1):
                inputs = self._inputs(op, s, t, x)
                self.program.lanes.synapse[self.program.width](
                    &op.synapse, <char *> op.state + sample * size, second, x, inputs,
                    self._row(op.node, s, t))
                if op.shown != NULL:
                    memcpy(<char *> op.shown
                           + ((first_row + t) * self.program.batch + sample) * size,
                           <char *> op.state + sample * size, size)

    # Recordings

    cdef void _read(self, Tap *tap, ptrdiff_t first_sample, ptrdiff_t samples, ptrdiff_t steps,
                    ptrdiff_t first_row) noexcept nogil:
        cdef ptrdiff_t n = self.program.nodes[tap.node].n, s, t, at, cell, k
        cdef View *view = &self.views[tap.node]
        cdef int64_t *counts
        cdef int32_t *index
        cdef const char *x
        cdef int size = 1 if tap.wanted == SPIKES_8 else 4
        cdef ptrdiff_t step, joined = 1
        if (self.program.batch == 1 and tap.wanted != COUNTS and tap.gain == NULL
                and view.step_stride == n * self.program.item):
            joined = steps  # rows that follow one another here and there
        for s in range(samples):
            for step in range(steps // joined):
                t = step * joined
                x = self._row(tap.node, s, t - tap.delay)
                at = ((first_row + t) * self.program.batch + first_sample + s) * n
                if tap.wanted == VALUES:
                    memcpy(<char *> tap.out + at * self.program.item, x,
                           joined * n * self.program.item)
                elif tap.wanted != COUNTS:
                    self.program.lanes.spikes[self.program.width](
                        <char *> tap.out + at * size, x, tap.gain, joined * n, size)
                else:
                    counts = <int64_t *> tap.out + (first_sample + s) * n
                    cell = self._cell(tap.node, s, t - tap.delay)
                    if view.index != NULL and view.binary[cell]:
                        index = self._index(tap.node, cell)
                        for k in range(view.count[cell]):
                            counts[index[k]] += 1
                    else:
                        self.program.lanes.spikes[self.program.width](counts, x, tap.gain, n, 8)


cdef bint _fits(Op *op) noexcept nogil:
    """Whether a product's weights are worth widening tile by tile."""
    return op.kind == LINEAR and not op.wide and op.n_in * TILE * <ptrdiff_t> sizeof(double) <= ROOM


cdef void _pool(Op *op, const int32_t *index, ptrdiff_t count, const double *values,
                double *sums) noexcept nogil:
    cdef window_t *w = &op.conv.window
    cdef ptrdiff_t k, place = w.height * w.width, y, x, channel
    cdef int32_t a, b
    cdef double value = 1
    for k in range(count):
        channel = index[k] // place
        y = index[k] % place // w.width
        x = index[k] % w.width
        if values != NULL:
            value = values[k]
        for a in range(w.row_start[y], w.row_start[y + 1]):
            for b in range(w.column_start[x], w.column_start[x + 1]):
                sums[(channel * w.out_height + w.row_out[a]) * w.out_width
                     + w.column_out[b]] += value
    if op.a != NULL:
        for k in range(op.n_out):
            sums[k] = sums[k] / op.a[k]


cdef void _largest(Op *op, real *out, const real *from_) noexcept nogil:
    cdef window_t *w = &op.conv.window
    cdef ptrdiff_t channel, y, x, at
    cdef int32_t a, b
    cdef real value
    for at in range(op.n_out):
        out[at] = <real> -INFINITY
    for channel in range(op.conv.channels):
        for y in range(w.height):
            for x in range(w.width):
                value = from_[(channel * w.height + y) * w.width + x]
                for a in range(w.row_start[y], w.row_start[y + 1]):
                    for b in range(w.column_start[x], w.column_start[x + 1]):
                        at = ((channel * w.out_height + w.row_out[a]) * w.out_width
                              + w.column_out[b])
                        if value > out[at]:
                            out[at] = value

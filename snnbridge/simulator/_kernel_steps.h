/* The steps of neurons and synapses in one width: REAL is float or double, and every operation
 * rounds to it. One pass over all neurons for each part of the step, so that each vectorises.
 */
#define W(name) NAME(WIDTH_NAME(name))

static void W(add)(void *to, const void *from, ptrdiff_t n)
{
    REAL *RESTRICT out = (REAL *)to;
    const REAL *x = (const REAL *)from;
    for (ptrdiff_t j = 0; j < n; j++) out[j] = out[j] + x[j];
}

/* Take numbers of another type: 0 float32, 1 float64, 2 bytes. */
static void W(convert)(void *to, const void *from, int kind, ptrdiff_t n)
{
    REAL *RESTRICT out = (REAL *)to;
    if (kind == 0)
        for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)((const float *)from)[j];
    else if (kind == 1)
        for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)((const double *)from)[j];
    else
        for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)((const uint8_t *)from)[j];
}

static int W(finite)(const void *from, ptrdiff_t n)
{
    const REAL *x = (const REAL *)from;
    int odd = 0;
    for (ptrdiff_t j = 0; j < n; j++) odd |= !(x[j] - x[j] == 0);
    return !odd;
}

/* Add the spikes of a row, or write them: of 1 byte, 4 or 8. */
static void W(spikes)(void *out, const void *from, const void *gain_of, ptrdiff_t n, int size)
{
    const REAL *x = (const REAL *)from, *gain = (const REAL *)gain_of;
    for (ptrdiff_t j = 0; j < n; j++) {
        const REAL s = gain == NULL ? x[j] : (REAL)floor((double)(x[j] / gain[j]) + 0.5);
        if (size == 1) ((uint8_t *)out)[j] = (uint8_t)s;
        else if (size == 4) ((int32_t *)out)[j] = (int32_t)s;
        else ((int64_t *)out)[j] += (int64_t)s;
    }
}

static void W(finish)(void *to, const double *sum, const double *bias, ptrdiff_t n)
{
    REAL *RESTRICT out = (REAL *)to;
    if (bias == NULL)
        for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)sum[j];
    else
        for (ptrdiff_t j = 0; j < n; j++) out[j] = (REAL)(sum[j] + bias[j]);
}

static void W(conv_finish)(void *to, const double *sum, const double *bias, ptrdiff_t places,
                           ptrdiff_t outputs)
{
    REAL *RESTRICT out = (REAL *)to;
    for (ptrdiff_t o = 0; o < outputs; o++) {
        const double last = bias == NULL ? 0.0 : bias[o];
        for (ptrdiff_t p = 0; p < places; p++)
            out[o * places + p] = (REAL)(sum[p * outputs + o] + last);
    }
}

/* (x * word) / 4096, towards zero; x counts units of 2**-12. */
ALWAYS_INLINE double W(shift_12)(double x, double word)
{
    return (double)((int64_t)(x * 4096.0) * (int64_t)word / 4096) / 4096.0;
}

ALWAYS_INLINE int64_t W(floor_8)(int64_t x) { return (x - (((x % 256) + 256) % 256)) / 256; }

static void W(update)(const neuron_t *p, REAL *RESTRICT h, const REAL *v, const REAL *x)
{
    const REAL *k = (const REAL *)p->leak, *tau = (const REAL *)p->tau;
    const REAL *g = (const REAL *)p->gain, *rest = (const REAL *)p->rest;
    const REAL *c = (const REAL *)p->constant;
    const ptrdiff_t n = p->n;
    ptrdiff_t j;
    switch (p->form) {
    case AFFINE:
        for (j = 0; j < n; j++) h[j] = (k[j] * v[j] + g[j] * x[j]) + c[j];
        break;
    case DIFFERENCE_IN:
        for (j = 0; j < n; j++) h[j] = (v[j] + k[j] * ((rest[j] - v[j]) + g[j] * x[j])) + c[j];
        break;
    case DIFFERENCE_OUT:
        for (j = 0; j < n; j++) h[j] = ((v[j] + k[j] * (rest[j] - v[j])) + g[j] * x[j]) + c[j];
        break;
    case BOX_IN:
        for (j = 0; j < n; j++) h[j] = (v[j] + k[j] * ((g[j] * x[j] + rest[j]) - v[j])) + c[j];
        break;
    case QUOTIENT_IN:
        for (j = 0; j < n; j++) h[j] = (v[j] + ((rest[j] - v[j]) + g[j] * x[j]) / k[j]) + c[j];
        break;
    case QUOTIENT_OUT:
        for (j = 0; j < n; j++) h[j] = ((v[j] + (rest[j] - v[j]) / k[j]) + g[j] * x[j]) + c[j];
        break;
    case DERIVATIVE_IN:
        for (j = 0; j < n; j++)
            h[j] = (v[j] + k[j] * (((rest[j] - v[j]) + g[j] * x[j]) / tau[j])) + c[j];
        break;
    case DERIVATIVE_OUT:
        for (j = 0; j < n; j++)
            h[j] = ((v[j] + k[j] * ((rest[j] - v[j]) / tau[j])) + g[j] * x[j]) + c[j];
        break;
    case EXPONENTIAL_IN:
        for (j = 0; j < n; j++)
            h[j] = FUSE(k[j], (rest[j] - v[j]) + g[j] * x[j], v[j]) + c[j];
        break;
    case EXPONENTIAL_OUT:
        for (j = 0; j < n; j++) h[j] = (FUSE(k[j], rest[j] - v[j], v[j]) + g[j] * x[j]) + c[j];
        break;
    case DERIVATIVE_STEP:
        for (j = 0; j < n; j++)
            h[j] = (v[j] + ((rest[j] - v[j]) * tau[j] + (g[j] * x[j]) * k[j])) + c[j];
        break;
    case RUNGE_KUTTA:
        for (j = 0; j < n; j++) {
            const REAL in = g[j] * x[j], half = k[j] * (REAL)0.5;
            const REAL a = ((rest[j] - v[j]) + in) / tau[j];
            const REAL b = ((rest[j] - (v[j] + half * a)) + in) / tau[j];
            const REAL d = ((rest[j] - (v[j] + half * b)) + in) / tau[j];
            const REAL e = ((rest[j] - (v[j] + k[j] * d)) + in) / tau[j];
            h[j] = (v[j] + (k[j] * (((a + 2 * b) + 2 * d) + e)) / 6) + c[j];
        }
        break;
    case SHIFT_12:
        for (j = 0; j < n; j++)
            h[j] = (REAL)(W(shift_12)((double)v[j], (double)k[j])
                          + ((double)(int64_t)(4096.0 * (double)(g[j] * x[j]))
                             + (double)(int64_t)(4096.0 * (double)c[j])) / 4096.0);
        break;
    case Q8_8:
        for (j = 0; j < n; j++) {
            const int64_t now = (int64_t)(256.0 * (double)v[j]);
            const int64_t leak = ((int64_t)(256.0 * (double)rest[j]) - now) * (int64_t)k[j];
            const int64_t in = (int64_t)floor(256.0 * (double)x[j])
                               * (int64_t)floor(256.0 * (double)g[j]);
            const int64_t sum = now + W(floor_8)(leak) + W(floor_8)(in)
                                + (int64_t)floor(256.0 * (double)c[j]);
            h[j] = (REAL)(((sum + 32768) & 65535) - 32768) / 256;
        }
        break;
    }
}

/* Keep the lower bound. */
static void W(bound)(const neuron_t *p, REAL *v, const REAL *from)
{
    const REAL *least = (const REAL *)p->floor;
    ptrdiff_t j;
    if (p->shifted_floor)
        for (j = 0; j < p->n; j++) {
            const REAL above = from[j] - least[j];
            v[j] = (above < 0 ? (REAL)0 : above) + least[j];
        }
    else
        for (j = 0; j < p->n; j++) v[j] = from[j] < least[j] ? least[j] : from[j];
}

/* Spikes of a membrane potential: 0 or 1, or how often the threshold goes into it. */
static void W(count)(const neuron_t *p, REAL *RESTRICT s, const REAL *h)
{
    const REAL *least = (const REAL *)p->least, *threshold = (const REAL *)p->threshold;
    const ptrdiff_t n = p->n;
    ptrdiff_t j;
    if (p->max_spikes == 1) {
        for (j = 0; j < n; j++) s[j] = h[j] >= least[j] ? (REAL)1 : (REAL)0;
        return;
    }
    const REAL most = (REAL)p->max_spikes;
    for (j = 0; j < n; j++) {
        const REAL times = h[j] > 0 ? (REAL)floor((double)(h[j] / threshold[j])) : (REAL)0;
        s[j] = times > most ? most : times;
    }
}

/* Take the reset of s spikes from h, into v. */
static void W(reset)(const neuron_t *p, REAL *v, const REAL *h, const REAL *s)
{
    const REAL *amount = (const REAL *)p->amount, *value = (const REAL *)p->value;
    const ptrdiff_t n = p->n;
    ptrdiff_t j;
    switch (p->reset) {
    case RESET_NONE:
        if (v != h) memcpy(v, h, (size_t)n * sizeof(REAL));
        break;
    case RESET_SUBTRACT:
        for (j = 0; j < n; j++) v[j] = h[j] - s[j] * amount[j];
        break;
    case RESET_SET:
        for (j = 0; j < n; j++) v[j] = s[j] > 0 ? value[j] : h[j];
        break;
    }
}

/* Mark who is refractory (1 or 0), and put back the potential that they keep. */
static void W(hold)(const neuron_t *p, REAL *RESTRICT held, REAL *RESTRICT h, const REAL *v,
                    void *clock, float now)
{
    const REAL *rest = (const REAL *)p->rest;
    const ptrdiff_t n = p->n;
    ptrdiff_t j;
    if (p->float_clock) {
        const float *period = (const float *)p->hold, *last = (const float *)clock;
        for (j = 0; j < n; j++) {
            const float since = now - last[j];
            held[j] = since <= period[j] ? (REAL)1 : (REAL)0;
        }
    } else {
        int64_t *left = (int64_t *)clock;
        for (j = 0; j < n; j++) {
            held[j] = left[j] > 0 ? (REAL)1 : (REAL)0;
            left[j] -= left[j] > 0;
        }
    }
    for (j = 0; j < n; j++)
        if (held[j] != 0) h[j] = p->refractory == CLAMP ? rest[j] : v[j];
}

static void W(wind)(const neuron_t *p, const REAL *s, void *clock, float now)
{
    ptrdiff_t j;
    if (p->float_clock) {
        float *last = (float *)clock;
        for (j = 0; j < p->n; j++)
            if (s[j] > 0) last[j] = now;
    } else {
        int64_t *left = (int64_t *)clock;
        const int64_t *steps = (const int64_t *)p->hold;
        for (j = 0; j < p->n; j++)
            if (s[j] > 0) left[j] = steps[j];
    }
}

/* The end of a step in one pass, for what most neurons are: at most one spike, no refractory
 * period. `late` spikes are those of the potential before the step. */
ALWAYS_INLINE void W(fire_by)(const neuron_t *p, REAL *RESTRICT v, REAL *RESTRICT h,
                              REAL *RESTRICT z, const int reset, const int late)
{
    const REAL *least = (const REAL *)p->least, *floor_of = (const REAL *)p->floor;
    const REAL *gain = (const REAL *)p->output_gain;
    const REAL *amount = (const REAL *)p->amount, *value = (const REAL *)p->value;
    for (ptrdiff_t j = 0; j < p->n; j++) {
        const REAL full = late ? v[j] : h[j];
        const REAL s = full >= least[j] ? (REAL)1 : (REAL)0;
        REAL after = h[j];
        if (reset == RESET_SUBTRACT) after = h[j] - s * amount[j];
        if (reset == RESET_SET) after = full >= least[j] ? value[j] : h[j];
        if (late) h[j] = after;
        v[j] = after < floor_of[j] ? floor_of[j] : after;
        z[j] = gain[j] * (late ? (after >= least[j] ? (REAL)1 : (REAL)0) : s);
    }
}

static void W(fire)(const neuron_t *p, REAL *v, REAL *h, REAL *z)
{
    if (p->timing == AFTER_LEAK && p->reset == RESET_SUBTRACT)
        W(fire_by)(p, v, h, z, RESET_SUBTRACT, 1);
    else if (p->timing == AFTER_LEAK)
        W(fire_by)(p, v, h, z, RESET_SET, 1);
    else if (p->timing == NOW && p->reset == RESET_SUBTRACT)
        W(fire_by)(p, v, h, z, RESET_SUBTRACT, 0);
    else if (p->timing == NOW && p->reset == RESET_SET)
        W(fire_by)(p, v, h, z, RESET_SET, 0);
    else
        W(fire_by)(p, v, h, z, RESET_NONE, 0);
}

/* One step of one sample. `work` holds three rows; `shown` may be NULL. */
static void W(neuron)(const neuron_t *p, void *membrane, const void *const *x, int inputs,
                      void *output, void *shown, void *work, void *clock, float now)
{
    const ptrdiff_t n = p->n;
    REAL *v = (REAL *)membrane, *z = (REAL *)output;
    REAL *h = (REAL *)work, *before = h + n, *s = before + n;
    const REAL *gain = (const REAL *)p->output_gain, *in = (const REAL *)p->gain;
    const int plain = p->spiking && p->max_spikes == 1 && p->timing != RESIDUAL
                      && p->refractory == FREE && !p->old && !p->shifted_floor;
    const int late = p->spiking && p->timing != NOW && !(plain && p->timing == AFTER_LEAK);
    ptrdiff_t j;
    if (late || (p->spiking && p->old)) W(count)(p, before, v);
    if (late && p->timing == BEFORE_LEAK) W(reset)(p, v, v, before);
    W(update)(p, h, v, (const REAL *)x[0]);
    for (int k = 1; k < inputs; k++)
        for (j = 0; j < n; j++) h[j] = h[j] + in[j] * ((const REAL *)x[k])[j];
    if (late && p->timing != BEFORE_LEAK) W(reset)(p, h, h, before);
    if (!p->spiking) {
        W(bound)(p, v, h);
        for (j = 0; j < n; j++) z[j] = gain[j] * v[j];
    } else if (plain) {
        W(fire)(p, v, h, z);
    } else {
        if (p->refractory != FREE) W(hold)(p, before, h, v, clock, now);
        if (p->old)
            memcpy(s, before, (size_t)n * sizeof(REAL));
        else
            W(count)(p, s, h);
        if (p->refractory == HOLD || p->refractory == CLAMP)
            for (j = 0; j < n; j++) s[j] = before[j] != 0 ? (REAL)0 : s[j];
        if (p->timing == NOW)
            W(reset)(p, v, h, s);
        else if (p->timing == RESIDUAL) {
            const REAL *amount = (const REAL *)p->amount;
            for (j = 0; j < n; j++) v[j] = h[j] - (s[j] - before[j]) * amount[j];
        } else
            memcpy(v, h, (size_t)n * sizeof(REAL));
        W(bound)(p, v, v);
        if (p->refractory != FREE) W(wind)(p, s, clock, now);
        for (j = 0; j < n; j++) z[j] = gain[j] * s[j];
    }
    if (shown) memcpy(shown, p->raw ? h : v, (size_t)n * sizeof(REAL));
}

ALWAYS_INLINE REAL W(decayed)(int form, REAL i, REAL k, REAL tau)
{
    switch (form) {
    case DECAY_DIFFERENCE: return i - k * i;
    case DECAY_QUOTIENT: return i - i / k;
    case DECAY_DERIVATIVE: return i + k * (-i / tau);
    case DECAY_EXPONENTIAL: return FUSE(k, -i, i);
    case DECAY_SHIFT_12: return (REAL)W(shift_12)((double)i, (double)k);
    default: return k * i;
    }
}

/* What one input adds: scaled, and cut to whole units where the state counts them. */
ALWAYS_INLINE REAL W(given)(const synapse_t *p, const void *x, ptrdiff_t m)
{
    const REAL in = ((const REAL *)p->gain)[m] * ((const REAL *)x)[m];
    return p->decay == DECAY_SHIFT_12 ? (REAL)((double)(int64_t)(4096.0 * (double)in) / 4096.0)
                                      : in;
}

ALWAYS_INLINE REAL W(added)(const synapse_t *p, REAL i, const void *const *x, int inputs,
                            ptrdiff_t m)
{
    for (int k = 0; k < inputs; k++) i = i + W(given)(p, x[k], m);
    return i;
}

ALWAYS_INLINE REAL W(exponential)(const synapse_t *p, REAL *state, const void *const *x,
                                  int inputs, ptrdiff_t m, REAL k, REAL tau)
{
    REAL i = *state, out;
    switch (p->order) {
    case DECAY_ADD_USE:
        out = i = W(added)(p, W(decayed)(p->decay, i, k, tau), x, inputs, m);
        break;
    case ADD_DECAY_USE:
        out = i = W(decayed)(p->decay, W(added)(p, i, x, inputs, m), k, tau);
        break;
    case ADD_USE_DECAY:
        out = W(added)(p, i, x, inputs, m);
        i = W(decayed)(p->decay, out, k, tau);
        break;
    default:
        out = W(decayed)(p->decay, i, k, tau);
        i = W(added)(p, out, x, inputs, m);
        break;
    }
    *state = i;
    return out;
}

/* One step of one sample; the receptors of a neuron stand together and are summed in order. */
static void W(synapse)(const synapse_t *p, void *first, void *second, const void *const *x,
                       int inputs, void *output)
{
    REAL *i = (REAL *)first, *rise = (REAL *)second, *z = (REAL *)output;
    const REAL *k = (const REAL *)p->leak, *tau = (const REAL *)p->tau;
    const REAL *gain = (const REAL *)p->gain, *scale = (const REAL *)p->output_gain;
    const REAL *kr = (const REAL *)p->leak_rise, *tr = (const REAL *)p->tau_rise;
    const int form = p->decay;
    if (p->kind == EXPONENTIAL && form == DECAY_FACTOR && p->order == DECAY_ADD_USE
        && p->receptors == 1 && inputs == 1) {
        const REAL *in = (const REAL *)x[0];
        for (ptrdiff_t j = 0; j < p->n; j++) i[j] = k[j] * i[j] + gain[j] * in[j];
        for (ptrdiff_t j = 0; j < p->n; j++) z[j] = scale[j] * i[j];
        return;
    }
    for (ptrdiff_t j = 0; j < p->n; j++)
        for (int r = 0; r < p->receptors; r++) {
            const ptrdiff_t m = j * p->receptors + r;
            REAL out;
            if (p->kind == EXPONENTIAL)
                out = W(exponential)(p, i + m, x, inputs, m, k[m], tau[m]);
            else if (p->kind == EXPONENTIAL_DIFFERENCE) {
                out = W(exponential)(p, i + m, x, inputs, m, k[m], tau[m]);
                out = out - W(exponential)(p, rise + m, x, inputs, m, kr[m], tr[m]);
            } else {
                const REAL drive = p->kind == ALPHA ? rise[m] / tau[m] : rise[m];
                if (form == DECAY_DERIVATIVE)
                    i[m] = i[m] + k[m] * (-i[m] / tau[m] + drive);
                else if (form == DECAY_EXPONENTIAL)
                    i[m] = FUSE(k[m], (p->kind == ALPHA ? rise[m] : tau[m] * rise[m]) - i[m], i[m]);
                else
                    i[m] = W(decayed)(form, i[m], k[m], tau[m]) + drive;
                rise[m] = W(added)(p, W(decayed)(form, rise[m], kr[m], tr[m]), x, inputs, m);
                out = i[m];
            }
            out = scale[m] * out;
            z[j] = r == 0 ? out : z[j] + out;
        }
}
#undef W

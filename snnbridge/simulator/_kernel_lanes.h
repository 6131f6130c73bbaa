/* The loops for one instruction set: ISA its name, LANES the float64 numbers in a register, FUSED
 * whether it has a fused multiply-add. Included several times by _kernel.h.
 */
#define NAME(name) PASTE(name, ISA)

#ifndef SNNBRIDGE_LANES_T
#define SNNBRIDGE_LANES_T
/* The functions of one instruction set; [0] for float32 and [1] for float64 numbers. */
typedef struct {
    /* Write the indices of what is not zero; return how many, and whether all of them are 1. */
    ptrdiff_t (*scan[2])(const void *x, ptrdiff_t n, int32_t *index, int *binary);
    ptrdiff_t (*scan_bytes)(const uint8_t *x, ptrdiff_t n, int32_t *index, int *binary);
    /* Sum the weights of the events of each row, times their values where they are not all 1. */
    void (*events)(const sums_t *sums, const row_t *rows, ptrdiff_t n);
    /* Multiply rows of numbers by a panel of weights, both in float64. */
    void (*dense)(const double *x, ptrdiff_t rows, ptrdiff_t inputs, const double *panel,
                  double *out, int exact);
    ptrdiff_t panel; /* outputs of such a panel */
    void (*conv)(const conv_t *conv, const int32_t *index, ptrdiff_t count, const double *values,
                 double *sum);
    /* Add the bias last and round once. */
    void (*finish[2])(void *out, const double *sum, const double *bias, ptrdiff_t n);
    void (*conv_finish[2])(void *out, const double *sum, const double *bias, ptrdiff_t places,
                           ptrdiff_t outputs);
    /* `x` are the inputs: more than one where the step adds them in turn. */
    void (*neuron[2])(const neuron_t *p, void *v, const void *const *x, int inputs, void *z,
                      void *shown, void *work, void *clock, float now);
    void (*synapse[2])(const synapse_t *p, void *i, void *rise, const void *const *x, int inputs,
                       void *z);
    void (*add[2])(void *out, const void *x, ptrdiff_t n);
    void (*convert[2])(void *out, const void *x, int kind, ptrdiff_t n);
    int (*finite[2])(const void *x, ptrdiff_t n);
    void (*spikes[2])(void *out, const void *x, const void *gain, ptrdiff_t n, int size);
} lanes_t;
#endif

#if LANES > 1
typedef double NAME(vd) __attribute__((vector_size(8 * LANES)));
#else
typedef double NAME(vd);
#endif
#define VD NAME(vd)

ALWAYS_INLINE VD NAME(load_double)(const double *p) { VD v; memcpy(&v, p, sizeof v); return v; }
ALWAYS_INLINE VD NAME(load_float)(const float *p)
{
#if LANES == 8
    return (VD)_mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif LANES == 4
    return (VD)_mm256_cvtps_pd(_mm_loadu_ps(p));
#elif LANES == 2
    return (VD){p[0], p[1]};
#else
    return *p;
#endif
}
ALWAYS_INLINE void NAME(store)(double *p, VD v) { memcpy(p, &v, sizeof v); }
ALWAYS_INLINE void NAME(narrow)(float *p, VD v)
{
#if LANES == 8
    _mm256_storeu_ps(p, _mm512_cvtpd_ps((__m512d)v));
#elif LANES == 4
    _mm_storeu_ps(p, _mm256_cvtpd_ps((__m256d)v));
#elif LANES == 2
    p[0] = (float)v[0], p[1] = (float)v[1];
#else
    *p = (float)v;
#endif
}
ALWAYS_INLINE VD NAME(same)(double x)
{
#if LANES == 8
    return (VD)_mm512_set1_pd(x);
#elif LANES == 4
    return (VD)_mm256_set1_pd(x);
#elif LANES == 2
    return (VD){x, x};
#else
    return x;
#endif
}
ALWAYS_INLINE VD NAME(fused)(VD a, VD b, VD c)
{
#if FUSED && LANES == 8
    return (VD)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif FUSED && LANES == 4
    return (VD)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b + c;
#endif
}

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif

/* Sums over events: a tile of outputs stays in registers over all events of a row, and is rounded
 * from there. */
ALWAYS_INLINE void NAME(round_sums)(const sums_t *p, const row_t *row, ptrdiff_t first, VD *sum,
                                    const int vectors)
{
    double kept[8 * LANES];
    const ptrdiff_t held = p->n_out - first;
    char *out = (char *)row->out + first * (p->wide_rows ? 8 : 4);
    if (p->bias)
        UNROLL for (int i = 0; i < vectors; i++)
            sum[i] += NAME(load_double)(p->bias + first + i * LANES);
    if (held >= vectors * LANES && p->wide_rows) {
        UNROLL for (int i = 0; i < vectors; i++)
            NAME(store)((double *)out + i * LANES, sum[i]);
        return;
    }
    if (held >= vectors * LANES) {
        UNROLL for (int i = 0; i < vectors; i++) NAME(narrow)((float *)out + i * LANES, sum[i]);
        return;
    }
    UNROLL for (int i = 0; i < vectors; i++) NAME(store)(kept + i * LANES, sum[i]);
    for (ptrdiff_t j = 0; j < held; j++)
        if (p->wide_rows) ((double *)out)[j] = kept[j];
        else ((float *)out)[j] = (float)kept[j];
}
#define EVENTS(TYPE, LOAD, FAR)                                                                  \
    ALWAYS_INLINE void NAME(events_block_##TYPE)(                                                \
        const sums_t *p, const TYPE *weight, ptrdiff_t width, const row_t *row, ptrdiff_t first, \
        const int vectors)                                                                       \
    {                                                                                            \
        const int32_t *index = row->index;                                                       \
        const ptrdiff_t count = row->count;                                                      \
        VD sum[8];                                                                               \
        UNROLL for (int i = 0; i < vectors; i++) sum[i] = NAME(same)(0.0);                       \
        if (row->x == NULL)                                                                      \
            for (ptrdiff_t k = 0; k < count; k++) {                                              \
                const TYPE *at = weight + (ptrdiff_t)index[k] * width;                           \
                if (FAR) {                                                                       \
                    const ptrdiff_t later = k + AHEAD < count ? k + AHEAD : k;                   \
                    const char *soon = (const char *)(weight + (ptrdiff_t)index[later] * width); \
                    UNROLL for (int b = 0; b < vectors * LANES * (int)sizeof(TYPE); b += 64)     \
                        PREFETCH(soon + b);                                                      \
                }                                                                                \
                UNROLL for (int i = 0; i < vectors; i++) sum[i] += NAME(LOAD)(at + i * LANES);   \
            }                                                                                    \
        else                                                                                     \
            for (ptrdiff_t k = 0; k < count; k++) {                                              \
                const TYPE *at = weight + (ptrdiff_t)index[k] * width;                           \
                const VD value = NAME(same)(p->wide_rows ? ((const double *)row->x)[index[k]]    \
                                                         : ((const float *)row->x)[index[k]]);   \
                UNROLL for (int i = 0; i < vectors; i++)                                         \
                    sum[i] += NAME(LOAD)(at + i * LANES) * value;                                \
            }                                                                                    \
        NAME(round_sums)(p, row, first, sum, vectors);                                           \
    }                                                                                            \
    static void NAME(tile_##TYPE)(const sums_t *p, const TYPE *w, ptrdiff_t width,               \
                                  const row_t *rows, ptrdiff_t n, ptrdiff_t first)               \
    {                                                                                            \
        for (const row_t *row = rows; row < rows + n; row++) {                                   \
            ptrdiff_t at = 0;                                                                    \
            for (; width - at >= 8 * LANES; at += 8 * LANES)                                     \
                NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 8);                 \
            switch ((width - at) / LANES) {                                                      \
            case 7: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 7); break;      \
            case 6: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 6); break;      \
            case 5: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 5); break;      \
            case 4: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 4); break;      \
            case 3: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 3); break;      \
            case 2: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 2); break;      \
            case 1: NAME(events_block_##TYPE)(p, w + at, width, row, first + at, 1); break;      \
            }                                                                                    \
        }                                                                                        \
    }
EVENTS(float, load_float, 1)
EVENTS(double, load_double, 0)
#undef EVENTS

/* All rows go over one tile of weights after the other. */
static void NAME(events)(const sums_t *p, const row_t *rows, ptrdiff_t n)
{
    const ptrdiff_t padded = (p->n_out + 7) / 8 * 8;
    for (ptrdiff_t first = 0; first < padded; first += TILE) {
        const ptrdiff_t width = padded - first < TILE ? padded - first : TILE;
        const ptrdiff_t at = first * p->n_in;
        if (p->wide)
            NAME(tile_double)(p, (const double *)p->weight + at, width, rows, n, first);
        else if (p->widened) {
            const float *weight = (const float *)p->weight + at;
            for (ptrdiff_t i = 0; i < width * p->n_in; i += LANES)
                NAME(store)(p->widened + i, NAME(load_float)(weight + i));
            NAME(tile_double)(p, p->widened, width, rows, n, first);
        } else
            NAME(tile_float)(p, (const float *)p->weight + at, width, rows, n, first);
    }
}

/* Dense products: a block of rows by a panel of outputs stays in registers over all inputs. */
#if LANES == 8
#define ROWS 6
#define VECTORS 4
#elif LANES == 4
#define ROWS 4
#define VECTORS 2
#else
#define ROWS 3
#define VECTORS 4
#endif
#define PANEL (VECTORS * LANES)
ALWAYS_INLINE void NAME(dense_block)(const double *x, ptrdiff_t inputs, const double *panel,
                                     double *out, const int rows, const int exact)
{
    VD sum[ROWS][VECTORS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int i = 0; i < VECTORS; i++) sum[r][i] = NAME(same)(0.0);
    for (ptrdiff_t k = 0; k < inputs; k++) {
        VD w[VECTORS];
        UNROLL for (int i = 0; i < VECTORS; i++)
            w[i] = NAME(load_double)(panel + k * PANEL + i * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            const VD value = NAME(same)(x[r * inputs + k]);
            UNROLL for (int i = 0; i < VECTORS; i++)
                sum[r][i] = exact ? NAME(fused)(value, w[i], sum[r][i]) : value * w[i] + sum[r][i];
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int i = 0; i < VECTORS; i++)
            NAME(store)(out + r * PANEL + i * LANES, sum[r][i]);
}
/* `exact`: every product is exact, as of two float32 numbers, so that fusing changes nothing. */
static void NAME(dense)(const double *x, ptrdiff_t rows, ptrdiff_t inputs, const double *panel,
                        double *out, int exact)
{
    ptrdiff_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        if (exact)
            NAME(dense_block)(x + r * inputs, inputs, panel, out + r * PANEL, ROWS, 1);
        else
            NAME(dense_block)(x + r * inputs, inputs, panel, out + r * PANEL, ROWS, 0);
    for (; r < rows; r++)
        if (exact)
            NAME(dense_block)(x + r * inputs, inputs, panel, out + r * PANEL, 1, 1);
        else
            NAME(dense_block)(x + r * inputs, inputs, panel, out + r * PANEL, 1, 0);
}

/* Each event adds its kernel to the outputs that see it; sum is (place, output). */
#define CONV(TYPE, LOAD)                                                                         \
    ALWAYS_INLINE void NAME(conv_add_##TYPE)(double *sum, const TYPE *weight, ptrdiff_t n,       \
                                             double value, const int one)                        \
    {                                                                                            \
        ptrdiff_t i = 0;                                                                         \
        const VD factor = NAME(same)(value);                                                     \
        for (; i + LANES <= n; i += LANES) {                                                     \
            const VD w = NAME(LOAD)(weight + i);                                                 \
            NAME(store)(sum + i, NAME(load_double)(sum + i) + (one ? w : w * factor));           \
        }                                                                                        \
        for (; i < n; i++) sum[i] += one ? (double)weight[i] : (double)weight[i] * value;        \
    }                                                                                            \
    ALWAYS_INLINE void NAME(conv_event_##TYPE)(const conv_t *c, ptrdiff_t at, double value,      \
                                               double *sum, const int one, const ptrdiff_t n)    \
    {                                                                                            \
        const window_t *p = &c->window;                                                          \
        const ptrdiff_t channel = at / (p->height * p->width);                                   \
        const ptrdiff_t place = at - channel * (p->height * p->width);                           \
        const ptrdiff_t y = place / p->width, x = place - y * p->width;                          \
        const TYPE *weight = (const TYPE *)c->weight                                             \
                             + channel * p->kernel_height * p->kernel_width * n;                 \
        sum += channel / c->group_channels * n;                                                  \
        for (int32_t a = p->row_start[y]; a < p->row_start[y + 1]; a++)                          \
            for (int32_t b = p->column_start[x]; b < p->column_start[x + 1]; b++)                \
                NAME(conv_add_##TYPE)(                                                           \
                    sum + (p->row_out[a] * p->out_width + p->column_out[b]) * c->outputs,        \
                    weight + (p->row_tap[a] * p->kernel_width + p->column_tap[b]) * n, n, value, \
                    one);                                                                        \
    }                                                                                            \
    /* A known number of outputs keeps the loop over them out of the machine's code. */          \
    ALWAYS_INLINE void NAME(conv_sized_##TYPE)(const conv_t *c, ptrdiff_t at, double value,      \
                                               double *sum, const int one)                       \
    {                                                                                            \
        switch (c->group_outputs) {                                                              \
        case 8: NAME(conv_event_##TYPE)(c, at, value, sum, one, 8); break;                       \
        case 16: NAME(conv_event_##TYPE)(c, at, value, sum, one, 16); break;                     \
        case 32: NAME(conv_event_##TYPE)(c, at, value, sum, one, 32); break;                     \
        default: NAME(conv_event_##TYPE)(c, at, value, sum, one, c->group_outputs);              \
        }                                                                                        \
    }
CONV(float, load_float)
CONV(double, load_double)
#undef CONV
static void NAME(conv)(const conv_t *c, const int32_t *index, ptrdiff_t count,
                       const double *values, double *sum)
{
    for (ptrdiff_t k = 0; k < count; k++)
        if (c->wide)
            NAME(conv_sized_double)(c, index[k], values ? values[k] : 1.0, sum, values == NULL);
        else if (values)
            NAME(conv_sized_float)(c, index[k], values[k], sum, 0);
        else
            NAME(conv_sized_float)(c, index[k], 1.0, sum, 1);
}

#if LANES > 2
/* Write the indices of the set bits of `mask`. */
ALWAYS_INLINE ptrdiff_t NAME(bits)(uint32_t mask, int32_t first, int32_t *index)
{
    ptrdiff_t found = 0;
    for (; mask; mask &= mask - 1) index[found++] = first + __builtin_ctz(mask);
    return found;
}
#endif
static ptrdiff_t NAME(scan_float)(const void *from, ptrdiff_t n, int32_t *index, int *binary)
{
    const float *x = (const float *)from;
    ptrdiff_t found = 0, i = 0;
    uint32_t odd = 0;
#if LANES == 8
    const __m512i step = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; i < n; i += 16) {
        const __mmask16 in = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1);
        PREFETCH(x + i + SOON);
        const __m512 block = _mm512_maskz_loadu_ps(in, x + i);
        const __mmask16 set = _mm512_cmp_ps_mask(block, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        odd |= _mm512_mask_cmp_ps_mask(set, block, _mm512_set1_ps(1.0f), _CMP_NEQ_UQ);
        _mm512_storeu_si512(index + found, _mm512_maskz_compress_epi32(
            set, _mm512_add_epi32(step, _mm512_set1_epi32((int)i))));
        found += __builtin_popcount(set);
    }
#elif LANES == 4
    for (; i + 8 <= n; i += 8) {
        const __m256 block = _mm256_loadu_ps(x + i);
        const __m256 set = _mm256_cmp_ps(block, _mm256_setzero_ps(), _CMP_NEQ_UQ);
        const __m256 one = _mm256_cmp_ps(block, _mm256_set1_ps(1.0f), _CMP_NEQ_UQ);
        odd |= (uint32_t)_mm256_movemask_ps(_mm256_and_ps(set, one));
        found += NAME(bits)((uint32_t)_mm256_movemask_ps(set), (int32_t)i, index + found);
    }
#endif
    for (; i < n; i++) {
        index[found] = (int32_t)i;
        found += x[i] != 0;
        odd |= (x[i] != 0) & (x[i] != 1);
    }
    *binary = odd == 0;
    return found;
}
static ptrdiff_t NAME(scan_double)(const void *from, ptrdiff_t n, int32_t *index, int *binary)
{
    const double *x = (const double *)from;
    ptrdiff_t found = 0;
    uint32_t odd = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        index[found] = (int32_t)i;
        found += x[i] != 0;
        odd |= (x[i] != 0) & (x[i] != 1);
    }
    *binary = odd == 0;
    return found;
}
static ptrdiff_t NAME(scan_bytes)(const uint8_t *x, ptrdiff_t n, int32_t *index, int *binary)
{
    ptrdiff_t found = 0, i = 0;
    uint32_t odd = 0;
#if LANES == 8
    const __m512i step = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; i + 64 <= n; i += 64) {
        const __m512i block = _mm512_loadu_si512(x + i);
        uint64_t set = _mm512_test_epi8_mask(block, block);
        odd |= _mm512_mask_cmpneq_epi8_mask(set, block, _mm512_set1_epi8(1)) != 0;
        for (int32_t first = (int32_t)i; set; first += 16, set >>= 16) {
            const __mmask16 part = (__mmask16)set;
            _mm512_storeu_si512(index + found, _mm512_maskz_compress_epi32(
                part, _mm512_add_epi32(step, _mm512_set1_epi32(first))));
            found += __builtin_popcount(part);
        }
    }
#endif
    for (; i < n; i++) {
        index[found] = (int32_t)i;
        found += x[i] != 0;
        odd |= x[i] > 1;
    }
    *binary = odd == 0;
    return found;
}

#define REAL float
#define FUSE(a, b, c) fmaf(a, b, c)
#define WIDTH_NAME(name) PASTE(name, float)
#include "_kernel_steps.h"
#undef REAL
#undef FUSE
#undef WIDTH_NAME
#define REAL double
#define FUSE(a, b, c) fma(a, b, c)
#define WIDTH_NAME(name) PASTE(name, double)
#include "_kernel_steps.h"
#undef REAL
#undef FUSE
#undef WIDTH_NAME

static const lanes_t NAME(lanes) = {
    {NAME(scan_float), NAME(scan_double)},
    NAME(scan_bytes),
    NAME(events),
    NAME(dense),
    PANEL,
    NAME(conv),
    {NAME(finish_float), NAME(finish_double)},
    {NAME(conv_finish_float), NAME(conv_finish_double)},
    {NAME(neuron_float), NAME(neuron_double)},
    {NAME(synapse_float), NAME(synapse_double)},
    {NAME(add_float), NAME(add_double)},
    {NAME(convert_float), NAME(convert_double)},
    {NAME(finite_float), NAME(finite_double)},
    {NAME(spikes_float), NAME(spikes_double)},
};

#undef NAME
#undef VD
#undef UNROLL
#undef ROWS
#undef VECTORS
#undef PANEL

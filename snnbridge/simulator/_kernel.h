/* The hot loops of the simulator, compiled once for each instruction set that the processor may
 * have; the same operations in the same order in each, so that the results are the same bits.
 *
 * Nothing here may be contracted to a fused multiply-add, which rounds once where the definition
 * rounds twice. Two exceptions are written out where they stand: the exponential Euler form, which
 * is defined with one, and sums of products of float32 numbers in float64, where each product is
 * exact, so that fusing the addition to it changes nothing.
 */
#ifndef SNNBRIDGE_KERNEL_H
#define SNNBRIDGE_KERNEL_H

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TILE 64 /* outputs of a stored tile of weights; a multiple of every tile in registers */

/* Which of the update's equations a neuron runs; the names are those of the Python side. */
enum {
    AFFINE, DIFFERENCE_IN, DIFFERENCE_OUT, BOX_IN, QUOTIENT_IN, QUOTIENT_OUT, DERIVATIVE_IN,
    DERIVATIVE_OUT, DERIVATIVE_STEP, RUNGE_KUTTA, SHIFT_12, Q8_8, EXPONENTIAL_IN, EXPONENTIAL_OUT
};
enum { RESET_NONE, RESET_SUBTRACT, RESET_SET };
enum { NOW, BEFORE_LEAK, AFTER_LEAK, RESIDUAL };
enum { FREE, HOLD, CLAMP, HOLD_TESTED };
enum { EXPONENTIAL, DUAL_EXPONENTIAL, ALPHA, EXPONENTIAL_DIFFERENCE };
enum { DECAY_ADD_USE, ADD_DECAY_USE, ADD_USE_DECAY, DECAY_USE_ADD };
enum {
    DECAY_FACTOR, DECAY_DIFFERENCE, DECAY_QUOTIENT, DECAY_DERIVATIVE, DECAY_SHIFT_12,
    DECAY_EXPONENTIAL
};

/* A group of neurons: switches, and one number of the network's width for each neuron. */
typedef struct {
    ptrdiff_t n;
    int form, spiking, reset, timing, old, refractory, float_clock, raw, shifted_floor;
    double max_spikes; /* 1, or more, or infinity */
    void *leak, *tau, *gain, *rest, *constant; /* the update */
    void *least;                               /* the least h that spikes */
    void *threshold, *amount, *value, *floor, *output_gain;
    void *hold; /* int64 steps, or float32 time */
} neuron_t;

typedef struct {
    ptrdiff_t n;
    int receptors, kind, order, decay;
    void *leak, *tau, *gain, *output_gain, *leak_rise, *tau_rise;
} synapse_t;

/* The places of a window: which outputs each row and column of the input reaches. */
typedef struct {
    ptrdiff_t height, width, out_height, out_width, kernel_width, kernel_height;
    const int32_t *row_start, *row_tap, *row_out; /* for input row y: row_start[y]..row_start[y+1] */
    const int32_t *column_start, *column_tap, *column_out;
} window_t;

typedef struct {
    window_t window;
    ptrdiff_t channels, outputs, group_outputs, group_channels;
    int wide;           /* float64 weights */
    const void *weight; /* (channel, tap row, tap column, output within the group) */
} conv_t;

/* A product with weights in tiles of TILE outputs, (in, tile) each, the last filled to 8. */
typedef struct {
    ptrdiff_t n_in, n_out;
    const void *weight;
    int wide;           /* float64 weights */
    int wide_rows;      /* float64 numbers in the rows */
    const double *bias; /* filled to 8 as the weights are, or NULL */
    double *widened;    /* room for a tile in float64, or NULL to widen at each use */
} sums_t;

/* One row of such a product. */
typedef struct {
    const int32_t *index; /* its events, ascending */
    ptrdiff_t count;
    const void *x; /* its numbers, or NULL where all events are 1 */
    void *out;
} row_t;

#if defined(_MSC_VER)
#define ALWAYS_INLINE static __forceinline
#define RESTRICT __restrict
#else
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define RESTRICT restrict
#endif

#define AHEAD 8 /* events between asking for a row of weights and adding it */
#define SOON 1024 /* numbers of a row between asking for them and looking at them */
#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define SNNBRIDGE_X86 1
#include <immintrin.h>
#else
#define SNNBRIDGE_X86 0
#endif

/* Copy weights, of these strides in bytes, into tiles; return whether all are finite. A block of 16
 * inputs is read line by line and written while it is in the nearest cache. */
#define PACK(TYPE)                                                                               \
    static int pack_##TYPE(const char *from, ptrdiff_t row, ptrdiff_t column, ptrdiff_t outputs, \
                           ptrdiff_t inputs, TYPE *packed)                                       \
    {                                                                                            \
        const ptrdiff_t padded = (outputs + 7) / 8 * 8;                                          \
        int odd = 0;                                                                             \
        for (ptrdiff_t first = 0; first < outputs; first += TILE) {                              \
            const ptrdiff_t width = padded - first < TILE ? padded - first : TILE;               \
            const ptrdiff_t held = outputs - first < TILE ? outputs - first : TILE;              \
            TYPE *tile = packed + first * inputs;                                                \
            for (ptrdiff_t k = 0; k < inputs; k += 16) {                                         \
                const ptrdiff_t some = inputs - k < 16 ? inputs - k : 16;                        \
                for (ptrdiff_t j = 0; j < held; j++) {                                           \
                    const char *x = from + (first + j) * row + k * column;                       \
                    TYPE *to = tile + k * width + j;                                             \
                    TYPE line[16] = {0};                                                         \
                    PREFETCH(x + 32 * column);                                                   \
                    if (column == sizeof(TYPE) && some == 16) memcpy(line, x, sizeof line);      \
                    else                                                                         \
                        for (ptrdiff_t i = 0; i < some; i++)                                     \
                            memcpy(line + i, x + i * column, sizeof(TYPE));                      \
                    for (int i = 0; i < 16; i++) odd |= !(line[i] - line[i] == 0);               \
                    if (some == 16)                                                              \
                        for (int i = 0; i < 16; i++) to[i * width] = line[i];                    \
                    else                                                                         \
                        for (ptrdiff_t i = 0; i < some; i++) to[i * width] = line[i];            \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        return !odd;                                                                             \
    }
PACK(float)
PACK(double)
#undef PACK

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

/* What the processor does without being asked: SSE2, NEON, or plain C. */
#define ISA base
#if defined(__GNUC__) || defined(__clang__)
#define LANES 2
#else
#define LANES 1
#endif
#define FUSED 0
#include "_kernel_lanes.h"
#undef ISA
#undef LANES
#undef FUSED

#if SNNBRIDGE_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define ISA avx2
#define LANES 4
#define FUSED 1
#include "_kernel_lanes.h"
#undef ISA
#undef LANES
#undef FUSED
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
#define ISA avx512
#define LANES 8
#define FUSED 1
#include "_kernel_lanes.h"
#undef ISA
#undef LANES
#undef FUSED
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

static const lanes_t *const LANES_OF[] = {
    &lanes_base,
#if SNNBRIDGE_X86
    &lanes_avx2, &lanes_avx512,
#endif
};

/* The best of the instruction sets that this processor has: 0 baseline, 1 AVX2, 2 AVX-512. */
static int best_lanes(void)
{
#if SNNBRIDGE_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

#endif

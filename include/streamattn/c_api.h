/* Plain C entry points: the library's functions for callers that cannot use C++.
 *
 * Every function that can fail returns a status and leaves a message for the calling thread in
 * streamattn_last_error(). No exception leaves the library. Every struct begins with struct_size,
 * which the caller sets to sizeof the struct it was compiled with; later versions only append
 * fields. A field that is zero or null stands for its default unless it says otherwise, so begin
 * from a zeroed struct.
 */
#ifndef STREAMATTN_C_API_H
#define STREAMATTN_C_API_H

#include <stddef.h>
#include <stdint.h>

#include "streamattn/version.h"

#if defined(__GNUC__)
#define STREAMATTN_C_API __attribute__((visibility("default")))
#else
#define STREAMATTN_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* How a call ended. Values are stable. Those up to cache_io are the codes of streamattn::Error. */
typedef enum streamattn_status {
  STREAMATTN_OK = 0,
  STREAMATTN_INVALID_ARGUMENT = 1,
  STREAMATTN_INVALID_PROBLEM = 2,
  STREAMATTN_UNSUPPORTED_PROBLEM = 3,
  STREAMATTN_INVALID_SCHEDULE = 4,
  STREAMATTN_INVALID_CONFIG = 5,
  STREAMATTN_NVRTC_MISSING = 6,
  STREAMATTN_COMPILE_FAILED = 7,
  STREAMATTN_NO_DRIVER = 8,
  STREAMATTN_NO_DEVICE = 9,
  STREAMATTN_LOAD_FAILED = 10,
  STREAMATTN_LAUNCH_FAILED = 11,
  STREAMATTN_CACHE_REFUSED = 12,
  STREAMATTN_CACHE_IO = 13,
  STREAMATTN_INTERNAL_ERROR = 100 /* out of memory, or a defect of the library */
} streamattn_status;

typedef enum streamattn_dtype {
  STREAMATTN_DTYPE_DEFAULT = 0, /* only where a default is named */
  STREAMATTN_F16 = 1,
  STREAMATTN_BF16 = 2,
  STREAMATTN_F32 = 3,
  STREAMATTN_I32 = 4, /* of named tensors alone, as the next one */
  STREAMATTN_U8 = 5
} streamattn_dtype;

/* How the rows of the sequences of a batch lie in a tensor. */
typedef enum streamattn_layout {
  STREAMATTN_DENSE = 0,  /* [batch, seq, heads, dim] */
  STREAMATTN_PACKED = 1, /* [1, tokens, heads, dim], found by cu_seqlens */
  STREAMATTN_PAGED = 2   /* [pages, page_size, heads, dim], found by block_table; keys alone */
} streamattn_layout;

typedef struct streamattn_jit streamattn_jit;
typedef struct streamattn_kernel streamattn_kernel;

/* How a jit behaves. A null pointer instead of this struct stands for all defaults. */
typedef struct streamattn_jit_options {
  size_t struct_size;
  const char* target;    /* "cpu" for the host; default: the device's */
  const int* device;     /* CUDA ordinal; default: the current context's, else 0 */
  const char* pins;      /* TOML text of schedule rows tried before the shipped ones */
  const char* cache_dir; /* where kernels are kept; default: as the environment says */
  int cpu_fallback;      /* not 0: the host CPU where no family has kernels for the device */
} streamattn_jit_options;

/* What to compute. Everything in it is compiled in. */
typedef struct streamattn_problem {
  size_t struct_size;
  int32_t dtype;      /* streamattn_dtype of Q, K and V; has no default */
  int32_t out_dtype;  /* of O; default: dtype */
  int head_dim;       /* of Q and K */
  int value_head_dim; /* of V and O; default: head_dim */
  int group_size;     /* query heads per key-value head; default: 1 */
  const char* mask;   /* an expression such as "k <= q"; default: every key is seen */
  const char* score;  /* of a scaled product, such as "score + slope[head] * (k - q)"; default:
                         "score" */
  const char* sink;   /* a logit that joins the softmax denominator; default: none */
  int32_t q_layout;   /* streamattn_layout of Q, O and LSE: dense or packed */
  int32_t kv_layout;  /* streamattn_layout of K and V */
  int q_lens;         /* not 0: sequences have a number of queries each */
  int kv_lens;        /* not 0: sequences have a number of keys each; of paged ones always */
  int dropout;        /* not 0: launches leave weights out, see streamattn_dropout */
} streamattn_problem;

/* How big a call is. Steers the choice of schedule; the kernel is good for every size. */
typedef struct streamattn_shape {
  size_t struct_size;
  int64_t batch;
  int64_t kv_heads;
  int64_t q_len;  /* tokens */
  int64_t kv_len; /* tokens */
} streamattn_shape;

/* A view of [batch, seq, heads, dim]: element (b, s, h, d) is at
 * data + b * batch_stride + s * seq_stride + h * head_stride + d, in elements. Owns nothing. */
typedef struct streamattn_tensor {
  void* data;
  int32_t dtype; /* streamattn_dtype; has no default where there is data */
  int64_t batch, seq, heads, dim;
  int64_t batch_stride, seq_stride, head_stride;
} streamattn_tensor;

/* Rows [begin, end) of a sequence. */
typedef struct streamattn_rows {
  int64_t begin, end;
} streamattn_rows;

/* A number for a scalar that mask, score or sink names: a whole number within +-2^30 for an i32
 * one. */
typedef struct streamattn_named_scalar {
  const char* name;
  double value;
} streamattn_named_scalar;

/* A tensor that mask, score or sink names: element (i, j, ...) is at
 * data + i * strides[0] + j * strides[1] + ..., in elements. Owns nothing. Where an index is just
 * q, k, batch, head or kv_head, the dimension must hold all that a call has of these. */
typedef struct streamattn_named_tensor {
  const char* name;
  const void* data;
  int32_t dtype; /* streamattn_dtype; has no default */
  int32_t rank;  /* 1 to 4 */
  int64_t sizes[4], strides[4];
} streamattn_named_tensor;

/* Lengths and places of the sequences of a batch, of problems whose sequences differ. Arrays are
 * int32 in memory of the kernel's device and are read when the launch runs. A length is cut to what
 * there is room for; what lies behind it has no influence. */
typedef struct streamattn_sequences {
  int64_t batch;                /* sequences; default, with a dense q: its batch */
  const int32_t* cu_seqlens_q;  /* [batch + 1], of a packed q: where sequences begin */
  const int32_t* cu_seqlens_kv; /* [batch + 1], of packed keys */
  const int32_t* q_lens;        /* [batch], where the problem has them */
  const int32_t* kv_lens;       /* [batch], where the problem has them */
  const int32_t* block_table;   /* [batch, pages], of paged keys; below 0: a page given back */
  int64_t pages;                /* entries of a row of the table */
  int64_t block_table_stride;   /* elements from row to row; default: pages */
  int64_t max_q_len;            /* no sequence has more; default: what there is room for */
  int64_t max_kv_len;           /* no sequence has more; default: what there is room for */
} streamattn_sequences;

/* Which weights a launch of a problem with dropout leaves out: every pair of a query and a key is
 * kept by itself, in 1 + floor(255 * (1 - rate)) of 256 cases, and then divided by that share.
 * Equal values leave out the same pairs, whatever the schedule, the sub-range or the device. Of
 * other problems the rate must be 0. */
typedef struct streamattn_dropout {
  float rate;      /* at least 0, less than 1 */
  uint64_t seed;   /* of all launches of a program, say */
  uint64_t offset; /* of a launch: another one for every layer and every step */
} streamattn_dropout;

/* Arguments of a forward launch. Memory is on the kernel's device (the host for the CPU). No
 * element of o or lse may share memory with another element of o or lse, or with one of q, k, v or
 * a named tensor. */
typedef struct streamattn_forward_args {
  size_t struct_size;
  streamattn_tensor q;            /* [batch, q_len, heads, head_dim] */
  streamattn_tensor k;            /* [batch, kv_len, heads / group_size, head_dim] */
  streamattn_tensor v;            /* [batch, kv_len, heads / group_size, value_head_dim] */
  streamattn_tensor o;            /* [batch, q_len, heads, value_head_dim] */
  streamattn_tensor lse;          /* f32 [batch, q_len, heads, 1]; null data: not written */
  const float* scale;             /* of the scores, positive; default: 1 / sqrt(head_dim) */
  const int64_t* q_offset;        /* position of row 0 of q; default: last query on last key */
  int64_t k_offset;               /* position of row 0 of k */
  const streamattn_rows* q_rows;  /* only these rows of q are computed; default: all */
  const streamattn_rows* kv_rows; /* only these keys are seen; default: all */
  int max_sms;                    /* most multiprocessors (threads on the CPU); default: all */
  void* workspace;                /* scratch memory, a multiple of 256; see below */
  size_t workspace_bytes;         /* of it; at least what streamattn_forward_workspace() says */
  const streamattn_named_scalar* scalars; /* each that the problem names once, in any order */
  size_t scalar_count;
  const streamattn_named_tensor* tensors; /* the same */
  size_t tensor_count;
  streamattn_sequences sequences; /* of problems whose sequences differ */
  streamattn_dropout dropout;     /* of problems with dropout */
} streamattn_forward_args;

/* Where the gradient of a named tensor of reals goes: float32, of that tensor's sizes. */
typedef struct streamattn_named_gradient {
  const char* name;
  float* data;
  int64_t strides[4];
} streamattn_named_gradient;

/* Arguments of a backward launch; o and lse are as forward wrote them. No element of a gradient may
 * share memory with another element of a gradient or with one of an input. Each of d_q, d_k and d_v
 * has the problem's dtype or f32. */
typedef struct streamattn_backward_args {
  size_t struct_size;
  streamattn_tensor q, k, v; /* as of the forward launch, as o and lse */
  streamattn_tensor o;
  streamattn_tensor lse;
  streamattn_tensor d_o;           /* as o */
  streamattn_tensor d_q, d_k, d_v; /* of the sizes of q, k and v */
  int accumulate;                  /* not 0: gradients, f32 then, are added to what is there */
  const float* scale;              /* as of the forward launch, as all up to max_sms */
  const int64_t* q_offset;
  int64_t k_offset;
  const streamattn_rows* q_rows;
  const streamattn_rows* kv_rows;
  int max_sms;
  void* workspace;        /* scratch memory, a multiple of 256; see below */
  size_t workspace_bytes; /* of it; at least what streamattn_backward_workspace() says */
  const streamattn_named_scalar* scalars; /* each that the problem names once, in any order */
  size_t scalar_count;
  const streamattn_named_tensor* tensors; /* the same */
  size_t tensor_count;
  const streamattn_named_gradient* gradients; /* of named tensors, those that are wanted */
  size_t gradient_count;
  streamattn_dropout dropout;     /* as of the forward launch */
  streamattn_sequences sequences; /* the same; of gradients, rows of sequences are written */
} streamattn_backward_args;

/* Which columns of a row make a pair that an append turns by position. */
typedef enum streamattn_rope_style {
  STREAMATTN_ROPE_NONE = 0,        /* rows are copied bit for bit */
  STREAMATTN_ROPE_INTERLEAVED = 1, /* columns 2 i and 2 i + 1 */
  STREAMATTN_ROPE_SPLIT_HALF = 2   /* columns i and i + dim / 2 */
} streamattn_rope_style;

/* Arguments of an append launch: new rows of k and v go behind those that a cache holds, the last
 * one to the last row that sequences count. A row without a place is not written, nothing else of
 * the cache is read or written. No element of k, v and rotated_q may share memory with another of
 * them or with an input; rotated_q may be q. */
typedef struct streamattn_append_args {
  size_t struct_size;
  streamattn_tensor new_k; /* as q_layout says: [batch, q_len, kv_heads, head_dim] */
  streamattn_tensor new_v;
  streamattn_tensor k, v;         /* the cache, as kv_layout says */
  streamattn_tensor q, rotated_q; /* turned as k; may be left out */
  int32_t rope_style;             /* streamattn_rope_style */
  int rope_dim;                   /* columns that are turned; default: head_dim */
  double rope_theta;              /* pair i turns by theta^(-2 i / dim) radians a position;
                                     default: 10000 */
  double rope_factor;             /* positions are divided by it; default: 1 */
  streamattn_tensor rope_cos;     /* f32 [1, positions, 1, dim / 2], in place of theta; may be */
  streamattn_tensor rope_sin;     /* left out */
  int64_t k_offset;               /* global position of row 0 of a sequence in the cache */
  streamattn_sequences sequences; /* those of the forward launch that reads the cache next */
  int max_sms;                    /* default: all */
} streamattn_append_args;

/* Arguments of a merge launch: results over shares of the keys become one. A share with an LSE of
 * -inf has no keys, and its o does not count. */
typedef struct streamattn_merge_args {
  size_t struct_size;
  streamattn_tensor share_o;   /* dtype or f32 [shares * batch, q_len, heads, value_head_dim] */
  streamattn_tensor share_lse; /* f32 [shares * batch, q_len, heads, 1] */
  streamattn_tensor o;         /* dtype or f32 [batch, q_len, heads, value_head_dim] */
  streamattn_tensor lse;       /* f32 [batch, q_len, heads, 1]; may be left out */
  int max_sms;                 /* default: all */
} streamattn_merge_args;

/* The library's version, such as "0.1.0". */
STREAMATTN_C_API const char* streamattn_version(void);

/* The stable name of a status, such as "unsupported_problem". */
STREAMATTN_C_API const char* streamattn_status_name(streamattn_status status);

/* What went wrong in this thread's last call that failed; valid until the next one that fails. */
STREAMATTN_C_API const char* streamattn_last_error(void);

/* A front door for a CUDA device, or for the host CPU where there is none. On the CPU a forked
 * child may go on using it and its kernels: docs/processes.md. */
STREAMATTN_C_API streamattn_status streamattn_jit_create(const streamattn_jit_options* options,
                                                         streamattn_jit** jit);

/* Destroys a jit and its kernels; null is allowed. No launch of them may still be running. */
STREAMATTN_C_API void streamattn_jit_destroy(streamattn_jit* jit);

/* The forward kernel for a problem, owned by the jit. The first call for a problem may compile; a
 * repeated one is a look-up. Thread-safe. */
STREAMATTN_C_API streamattn_status streamattn_forward_kernel(streamattn_jit* jit,
                                                             const streamattn_problem* problem,
                                                             const streamattn_shape* shape,
                                                             const streamattn_kernel** kernel);

/* Bytes of workspace that a forward launch with these arguments needs; 0 where it needs none. Data
 * may be null, names and scalars are read. Thread-safe. */
STREAMATTN_C_API streamattn_status streamattn_forward_workspace(const streamattn_kernel* kernel,
                                                                const streamattn_forward_args* args,
                                                                size_t* bytes);

/* Enqueues one forward call on a CUDA stream; null is the default stream. Neither allocates nor
 * synchronises. The CPU target returns when it is done. Thread-safe. */
STREAMATTN_C_API streamattn_status streamattn_launch_forward(const streamattn_kernel* kernel,
                                                             const streamattn_forward_args* args,
                                                             void* stream);

/* The same for backward kernels, whose results are equal bit for bit from run to run. */
STREAMATTN_C_API streamattn_status streamattn_backward_kernel(streamattn_jit* jit,
                                                              const streamattn_problem* problem,
                                                              const streamattn_shape* shape,
                                                              const streamattn_kernel** kernel);
STREAMATTN_C_API streamattn_status streamattn_backward_workspace(
    const streamattn_kernel* kernel, const streamattn_backward_args* args, size_t* bytes);
STREAMATTN_C_API streamattn_status streamattn_launch_backward(const streamattn_kernel* kernel,
                                                              const streamattn_backward_args* args,
                                                              void* stream);

/* The same for kernels that append to caches and that merge shares; neither needs a workspace. */
STREAMATTN_C_API streamattn_status streamattn_append_kernel(streamattn_jit* jit,
                                                            const streamattn_problem* problem,
                                                            const streamattn_shape* shape,
                                                            const streamattn_kernel** kernel);
STREAMATTN_C_API streamattn_status streamattn_launch_append(const streamattn_kernel* kernel,
                                                            const streamattn_append_args* args,
                                                            void* stream);
STREAMATTN_C_API streamattn_status streamattn_merge_kernel(streamattn_jit* jit,
                                                           const streamattn_problem* problem,
                                                           const streamattn_shape* shape,
                                                           const streamattn_kernel** kernel);
STREAMATTN_C_API streamattn_status streamattn_launch_merge(const streamattn_kernel* kernel,
                                                           const streamattn_merge_args* args,
                                                           void* stream);

/* Writes what the kernel is and why it was chosen to buffer, cut to size - 1 characters and ended
 * by a zero; returns the length of the whole text, 0 on failure. A null buffer, or size 0, asks for
 * the length alone. */
STREAMATTN_C_API size_t streamattn_describe(const streamattn_kernel* kernel, char* buffer,
                                            size_t size);

typedef enum streamattn_log_level {
  STREAMATTN_LOG_OFF = 0,
  STREAMATTN_LOG_ERROR = 1,
  STREAMATTN_LOG_WARNING = 2,
  STREAMATTN_LOG_INFO = 3,
  STREAMATTN_LOG_DEBUG = 4
} streamattn_log_level;

/* Receives a log line; topic and message end with a zero and are gone afterwards. Called by one
 * thread at a time. It must not call this library. */
typedef void (*streamattn_log_callback)(void* user, streamattn_log_level level, const char* topic,
                                        const char* message);

/* Sends log lines to callback, which gets user, instead of stderr; null gives them back. The
 * callback before is no longer called when this returns. */
STREAMATTN_C_API streamattn_status streamattn_set_log_callback(streamattn_log_callback callback,
                                                               void* user);

/* Which lines are printed: "level" or "level:topic:topic...", such as "debug:cache". STREAMATTN_LOG
 * in the environment takes its place when a jit is created. */
STREAMATTN_C_API streamattn_status streamattn_set_log_level(const char* setting);

#ifdef __cplusplus
}
#endif

#endif /* STREAMATTN_C_API_H */

"""The C entry points of libstreamattn (include/streamattn/c_api.h) through ctypes.

    library = Library("build/libstreamattn.so")
    kernel = library.jit(target="cpu").forward(Problem(dtype="bf16", head_dim=128), Shape(1, 8, 512, 512))
    kernel.launch(q=Tensor(pointer, shape, strides), ...)
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_void_p
from dataclasses import dataclass

DTYPES = {None: 0, "f16": 1, "bf16": 2, "f32": 3, "i32": 4, "u8": 5}


class StreamattnError(RuntimeError):
    """A call that failed: the name of its status and the library's message."""


class _Struct(ctypes.Structure):
    """A zeroed struct whose struct_size is set."""

    def __init__(self, **fields):
        super().__init__(struct_size=ctypes.sizeof(type(self)), **fields)


class _JitOptions(_Struct):
    _fields_ = [("struct_size", c_size_t), ("target", c_char_p), ("device", POINTER(c_int)),
                ("pins", c_char_p), ("cache_dir", c_char_p), ("cpu_fallback", c_int)]


class _Problem(_Struct):
    _fields_ = [("struct_size", c_size_t), ("dtype", c_int), ("out_dtype", c_int),
                ("head_dim", c_int), ("value_head_dim", c_int), ("group_size", c_int),
                ("mask", c_char_p), ("score", c_char_p), ("sink", c_char_p)]


class _Shape(_Struct):
    _fields_ = [("struct_size", c_size_t), ("batch", c_int64), ("kv_heads", c_int64),
                ("q_len", c_int64), ("kv_len", c_int64)]


class _Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("dtype", c_int32)] + [(name, c_int64) for name in (
        "batch", "seq", "heads", "dim", "batch_stride", "seq_stride", "head_stride")]


class _Rows(ctypes.Structure):
    _fields_ = [("begin", c_int64), ("end", c_int64)]


class _NamedScalar(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_double)]


class _NamedTensor(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("data", c_void_p), ("dtype", c_int32), ("rank", c_int32),
                ("sizes", c_int64 * 4), ("strides", c_int64 * 4)]


class _ForwardArgs(_Struct):
    _fields_ = [("struct_size", c_size_t)] + [(name, _Tensor) for name in "qkvo"] + [
        ("lse", _Tensor), ("scale", POINTER(c_float)), ("q_offset", POINTER(c_int64)),
        ("k_offset", c_int64), ("q_rows", POINTER(_Rows)), ("kv_rows", POINTER(_Rows)),
        ("max_sms", c_int), ("workspace", c_void_p), ("workspace_bytes", c_size_t),
        ("scalars", POINTER(_NamedScalar)), ("scalar_count", c_size_t),
        ("tensors", POINTER(_NamedTensor)), ("tensor_count", c_size_t)]


class _BackwardArgs(_Struct):
    _fields_ = [("struct_size", c_size_t)] + [
        (name, _Tensor) for name in ("q", "k", "v", "o", "lse", "d_o", "d_q", "d_k", "d_v")] + [
        ("accumulate", c_int), ("scale", POINTER(c_float)), ("q_offset", POINTER(c_int64)),
        ("k_offset", c_int64), ("q_rows", POINTER(_Rows)), ("kv_rows", POINTER(_Rows)),
        ("max_sms", c_int), ("workspace", c_void_p), ("workspace_bytes", c_size_t),
        ("scalars", POINTER(_NamedScalar)), ("scalar_count", c_size_t),
        ("tensors", POINTER(_NamedTensor)), ("tensor_count", c_size_t),
        ("gradients", c_void_p), ("gradient_count", c_size_t)]


@dataclass(frozen=True)
class Problem:
    """What to compute; see streamattn_problem."""
    dtype: str = "bf16"
    head_dim: int = 128
    out_dtype: str | None = None
    value_head_dim: int = 0
    group_size: int = 1
    mask: str = "true"
    score: str = "score"
    sink: str | None = None


@dataclass(frozen=True)
class Shape:
    """How big a call is, in tokens; see streamattn_shape."""
    batch: int
    kv_heads: int
    q_len: int
    kv_len: int


def tensor(data, dtype, sizes, strides):
    """A view of [batch, seq, heads, dim] at address `data`; strides in elements, that of dim is 1."""
    if strides[3] != 1 and sizes[3] != 1:
        raise ValueError(f"the head dim has stride {strides[3]}, needs 1")
    return _Tensor(data, DTYPES[dtype], *sizes, *strides[:3])


def _torch_dtype(array):
    return {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "int32": "i32",
            "uint8": "u8", "bool": "u8"}[str(array.dtype).split(".")[-1]]


def torch_tensor(array):
    """The view of a 4-D PyTorch tensor in [batch, seq, heads, dim] order (any strides)."""
    return tensor(array.data_ptr(), _torch_dtype(array), array.shape, array.stride())


def named_tensor(name, data, dtype, sizes, strides):
    """A tensor that a mask, a score or a sink names, at address `data`; strides in elements."""
    return _NamedTensor(name.encode(), data, DTYPES[dtype], len(sizes), (c_int64 * 4)(*sizes),
                        (c_int64 * 4)(*strides))


def named_torch_tensor(name, array):
    """The same of a PyTorch tensor of 1 to 4 dimensions."""
    return named_tensor(name, array.data_ptr(), _torch_dtype(array), array.shape, array.stride())


class Library:
    """A loaded libstreamattn."""

    def __init__(self, path):
        self._c = ctypes.CDLL(os.path.abspath(path))
        self._c.streamattn_version.restype = c_char_p
        self._c.streamattn_status_name.restype = c_char_p
        self._c.streamattn_last_error.restype = c_char_p
        self._c.streamattn_describe.restype = c_size_t
        self._c.streamattn_describe.argtypes = [c_void_p, c_char_p, c_size_t]
        self._c.streamattn_jit_create.argtypes = [c_void_p, POINTER(c_void_p)]
        self._c.streamattn_jit_destroy.argtypes = [c_void_p]
        self._c.streamattn_jit_destroy.restype = None
        for name in ("forward", "backward"):
            for function, arguments in (
                    (f"streamattn_{name}_kernel", [c_void_p, c_void_p, c_void_p, POINTER(c_void_p)]),
                    (f"streamattn_{name}_workspace", [c_void_p, c_void_p, POINTER(c_size_t)]),
                    (f"streamattn_launch_{name}", [c_void_p, c_void_p, c_void_p])):
                getattr(self._c, function).argtypes = arguments

    def version(self):
        return self._c.streamattn_version().decode()

    def jit(self, target=None, pins=None, cache_dir=None):
        """A front door; target "cpu" is the host, None the current CUDA device."""
        return Jit(self, target, pins, cache_dir)

    def call(self, name, *args):
        status = getattr(self._c, name)(*args)
        if status != 0:
            raise StreamattnError(f"{self._c.streamattn_status_name(status).decode()}: "
                                  f"{self._c.streamattn_last_error().decode()}")

    def describe(self, kernel):
        size = self._c.streamattn_describe(kernel, None, 0) + 1
        buffer = ctypes.create_string_buffer(size)
        self._c.streamattn_describe(kernel, buffer, size)
        return buffer.value.decode()

    def destroy(self, jit):
        self._c.streamattn_jit_destroy(jit)


class Jit:
    """Owns its kernels: keep it as long as they are used."""

    def __init__(self, library, target, pins, cache_dir):
        def encode(text):
            return None if text is None else str(text).encode()

        self._library = library
        self._handle = c_void_p()
        options = _JitOptions(target=encode(target), pins=encode(pins), cache_dir=encode(cache_dir))
        library.call("streamattn_jit_create", byref(options), byref(self._handle))

    def __del__(self):
        if self._handle:
            self._library.destroy(self._handle)

    def forward(self, problem, shape):
        """The forward kernel for `problem`, chosen for `shape`; may compile."""
        return ForwardKernel(self, self._library, self._kernel("forward", problem, shape))

    def backward(self, problem, shape):
        """The same of the backward pass."""
        return BackwardKernel(self, self._library, self._kernel("backward", problem, shape))

    def _kernel(self, operation, problem, shape):
        c_problem = _Problem(dtype=DTYPES[problem.dtype], out_dtype=DTYPES[problem.out_dtype],
                             head_dim=problem.head_dim, value_head_dim=problem.value_head_dim,
                             group_size=problem.group_size, mask=problem.mask.encode(),
                             score=problem.score.encode(),
                             sink=None if problem.sink is None else problem.sink.encode())
        c_shape = _Shape(batch=shape.batch, kv_heads=shape.kv_heads, q_len=shape.q_len,
                         kv_len=shape.kv_len)
        kernel = c_void_p()
        self._library.call(f"streamattn_{operation}_kernel", self._handle, byref(c_problem),
                           byref(c_shape), byref(kernel))
        return kernel


class _Kernel:
    """A loaded kernel. `prepare` gives a callable that launches with some tensors; arguments are
    converted once, so that a timed call costs the launch alone. The caller keeps the memory alive.
    A kernel that needs a workspace gets it from `allocate(bytes)`, which returns an address that
    stays valid. `scalars` are values by name, `tensors` a list of named_tensor()."""

    def __init__(self, jit, library, handle):
        self._jit, self._library, self._handle = jit, library, handle

    def describe(self):
        return self._library.describe(self._handle)

    def launch(self, **args):
        """One call; see prepare()."""
        self.prepare(**args)()

    def _prepare(self, operation, args, stream, q_offset, allocate, scalars, tensors):
        values = [_NamedScalar(name.encode(), value) for name, value in (scalars or {}).items()]
        args.scalars, args.scalar_count = (_NamedScalar * len(values))(*values), len(values)
        args.tensors, args.tensor_count = (_NamedTensor * len(tensors))(*tensors), len(tensors)
        if q_offset is not None:
            args.q_offset = ctypes.pointer(c_int64(q_offset))
        reference = byref(args)
        bytes_needed = c_size_t()
        self._library.call(f"streamattn_{operation}_workspace", self._handle, reference,
                           byref(bytes_needed))
        if bytes_needed.value:
            if allocate is None:
                raise ValueError(f"the kernel needs {bytes_needed.value} bytes of workspace")
            args.workspace, args.workspace_bytes = allocate(bytes_needed.value), bytes_needed.value

        def launch():
            self._library.call(f"streamattn_launch_{operation}", self._handle, reference, stream)

        return launch


class ForwardKernel(_Kernel):
    """Q, K and V to O and, where it is given, LSE."""

    def prepare(self, *, q, k, v, o, lse=None, stream=None, q_offset=None, max_sms=0,
                allocate=None, scalars=None, tensors=()):
        args = _ForwardArgs(q=q, k=k, v=v, o=o, max_sms=max_sms)
        if lse is not None:
            args.lse = lse
        return self._prepare("forward", args, stream, q_offset, allocate, scalars, tensors)


class BackwardKernel(_Kernel):
    """dO, and O and LSE as the forward pass wrote them, to dQ, dK and dV."""

    def prepare(self, *, q, k, v, o, lse, d_o, d_q, d_k, d_v, stream=None, q_offset=None, max_sms=0,
                allocate=None, scalars=None, tensors=()):
        args = _BackwardArgs(q=q, k=k, v=v, o=o, lse=lse, d_o=d_o, d_q=d_q, d_k=d_k, d_v=d_v,
                             max_sms=max_sms)
        return self._prepare("backward", args, stream, q_offset, allocate, scalars, tensors)

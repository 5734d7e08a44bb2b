"""The backward pass in peers.py: what computes it beside us, each from dO to dQ, dK and dV with the
forward pass done beforehand, and the check of a result. Needs PyTorch with CUDA."""

import math
import os

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from forward_peers import flex_function
from peer_cases import Unserved
from rounds import Candidate


def back_through(name, inputs, attend):
    """A candidate that goes back through the graph of one call of `attend`, which is kept."""
    leaves = [x.detach().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]
    o = attend(*leaves)
    return Candidate(name, lambda: torch.autograd.grad(o, leaves, inputs.d_o, retain_graph=True))


def cudnn_peer(inputs):
    arguments = inputs.case.sdpa_arguments(inputs.tensors)

    def attend(*tensors):
        return scaled_dot_product_attention(*(x.transpose(1, 2) for x in tensors), **arguments,
                                            enable_gqa=inputs.row.group_size > 1).transpose(1, 2)

    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        return back_through("cudnn", inputs, attend)


def offsets(documents):
    """Where documents begin, and where the last one ends."""
    begins = [sum(documents[:i]) for i in range(len(documents) + 1)]
    return torch.tensor(begins, device="cuda", dtype=torch.int32)


def fa3_peer(inputs):
    """FlashAttention-3, whose backward pass PyPI has for JAX alone, in dew-flash-attn-cu13."""
    arguments, documents = dict(inputs.case.fa3_arguments()), inputs.case.documents
    if "softcap" in arguments or inputs.row.value_d:
        raise Unserved("this build of FlashAttention-3 has neither soft caps nor value head dims")
    arguments["is_causal"] = arguments.pop("causal", False)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    from dew_flash_attn import flash_mha, flash_mha_varlen
    q, k, v, d_o = (jax.dlpack.from_dlpack(x[0] if documents else x)
                    for x in (inputs.q, inputs.k, inputs.v, inputs.d_o))
    if documents:
        starts = jax.dlpack.from_dlpack(offsets(documents))
        _, pull = jax.vjp(lambda *x: flash_mha_varlen(*x, starts, max(documents), **arguments),
                          q, k, v)
    else:
        _, pull = jax.vjp(lambda *x: flash_mha(*x, **arguments), q, k, v)
    back = jax.jit(lambda pull, d_o: pull(d_o))

    def call():
        torch.cuda.synchronize()  # JAX has a stream of its own
        found = [torch.from_dlpack(x) for x in jax.block_until_ready(back(pull, d_o))]
        return [x[None] for x in found] if documents else found

    return Candidate("fa3", call)


def fa4_peer(name, deterministic):
    def build(inputs):
        from flash_attn.cute import flash_attn_func, flash_attn_varlen_func
        case = inputs.case
        arguments = {**case.fa3_arguments("FlashAttention-4"), "deterministic": deterministic}

        def attend(q, k, v):
            if not case.documents:
                return flash_attn_func(q, k, v, **arguments)[0]
            starts, longest = offsets(case.documents), max(case.documents)
            packed = flash_attn_varlen_func(q[0], k[0], v[0], cu_seqlens_q=starts,
                                            cu_seqlens_k=starts, max_seqlen_q=longest,
                                            max_seqlen_k=longest, **arguments)
            return packed[0][None]

        return back_through(name, inputs, attend)
    return build


# Each takes Inputs and gives a candidate whose call returns dQ, dK and dV.
PEERS = {"cudnn": cudnn_peer,
         "fa3": fa3_peer,
         "fa4": fa4_peer("fa4", False),
         "fa4_deterministic": fa4_peer("fa4_deterministic", True),
         "flex": lambda inputs: back_through("flex", inputs, flex_function(inputs, None))}
# A word in the name of the kernel that proves which backend ran.
PROOF = {"cudnn": "cudnn", "fa3": "flashattnbwd", "fa4": "flash", "fa4_deterministic": "flash",
         "flex": "triton"}


def plain_gradients(inputs, batch, kv_head, precision, rounded):
    """dQ of the query heads that share a key-value head, and its dK and dV, by definition; `rounded`
    is what P and dS go through before they are multiplied."""
    row, case = inputs.row, inputs.case
    k, v = (x[batch, :, kv_head].to(precision) for x in (inputs.k, inputs.v))
    position = torch.arange(row.s, device=k.device)
    at_q, at_k, scale = position[:, None], position[None, :], 1 / math.sqrt(row.d)
    hidden = ~case.sees(at_q, at_k)
    d_q, d_k, d_v = [], torch.zeros_like(k), torch.zeros_like(v)
    for head in range(kv_head * row.group_size, (kv_head + 1) * row.group_size):
        q, d_o = (x[batch, :, head].to(precision) for x in (inputs.q, inputs.d_o))
        products = (scale * (q @ k.T)).requires_grad_()
        scores = case.change(products, at_q, at_k, head, inputs.tensors)
        p = scores.detach().masked_fill(hidden, -math.inf).softmax(-1)
        d_p = d_o @ v.T
        d_scores = p * (d_p - (p * d_p).sum(-1, keepdim=True))
        d_products = rounded(torch.autograd.grad(scores, products, d_scores)[0])
        d_q.append(scale * (d_products @ k))
        d_k += scale * (d_products.T @ q)
        d_v += rounded(p).T @ d_o
    return torch.stack(d_q, 1), d_k, d_v


class Check:
    """The gradients of a key-value head and of the query heads that share it: exact in float64, and
    by plain arithmetic in the precision of Q."""

    def __init__(self, inputs):
        group, dtype = inputs.row.group_size, inputs.q.dtype
        self.batch = int(torch.randint(inputs.row.b, ()))
        self.kv_head = int(torch.randint(inputs.row.h // group, ()))
        self.heads = slice(self.kv_head * group, (self.kv_head + 1) * group)
        pick = (inputs, self.batch, self.kv_head)
        self.exact = plain_gradients(*pick, torch.float64, lambda x: x)
        plain = plain_gradients(*pick, torch.float32, lambda x: x.to(dtype).to(x.dtype))
        self.plain_errors = self._errors([x.to(dtype) for x in plain])
        self.plain_error = max(self.plain_errors)

    def _errors(self, found):
        """Of dQ, dK and dV."""
        return [float((x.double() - exact).norm() / exact.norm())
                for x, exact in zip(found, self.exact)]

    def _picked(self, found):
        d_q, d_k, d_v = found
        return (d_q[self.batch, :, self.heads], d_k[self.batch, :, self.kv_head],
                d_v[self.batch, :, self.kv_head])

    def error(self, found):
        """The largest of the three."""
        return max(self._errors(self._picked(found)))

    def refuse(self, found, peer, theirs):
        """Raises what is wrong with (dQ, dK, dV), also beside those of a peer where there are any;
        returns the error."""
        errors = self._errors(self._picked(found))
        for name, error, plain in zip(("dQ", "dK", "dV"), errors, self.plain_errors):
            if not error <= 2 * plain:
                raise ArithmeticError(f"error {error:.2e} of {name}, plain arithmetic has "
                                      f"{plain:.2e}")
        for name, x, other in zip(("dQ", "dK", "dV"), found, theirs or ()):
            apart = float((x.float() - other.float()).norm() / other.float().norm())
            if not apart <= 4 * self.plain_error:
                raise ArithmeticError(f"{name} differs from that of {peer} by {apart:.2e}")
        return max(errors)

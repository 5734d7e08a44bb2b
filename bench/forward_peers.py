"""The forward pass in peers.py: what computes it beside us, and the check of a result. Needs PyTorch
with CUDA."""

import math

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from peer_cases import Unserved
from rounds import Candidate


def sdpa_peer(name, backend):
    def build(inputs):
        q, k, v = inputs.bhsd()
        arguments = inputs.case.sdpa_arguments(inputs.tensors)
        if inputs.row.causal and not inputs.row.is_square:
            raise Unserved("PyTorch's causal mask puts the first query at the first key")
        grouped = inputs.row.group_size > 1

        def call():
            return scaled_dot_product_attention(q, k, v, enable_gqa=grouped,
                                                **arguments).transpose(1, 2)

        return Candidate(name, call, lambda: sdpa_kernel(backend))
    return build


def fa3_module():
    """FlashAttention-3 of whichever package is installed: its own or tokenspeed-fa3, else fa3-fwd."""
    try:
        import flash_attn_interface as module
    except ModuleNotFoundError:
        import fa3_fwd_interface as module
    return module


def fa3_peer(inputs):
    arguments = inputs.case.fa3_arguments()
    # The function for caches splits keys over the multiprocessors.
    function = getattr(fa3_module(), "flash_attn_with_kvcache" if inputs.row.is_decode
                       else "flash_attn_func")

    def call():
        result = function(inputs.q, inputs.k, inputs.v, **arguments)
        # Some versions return the log-sum-exp as well.
        return result[0] if isinstance(result, tuple) else result

    return Candidate("fa3", call)


def flex_function(inputs, options):
    """FlexAttention, compiled for a row: from Q, K and V to O, in [batch, seq, heads, dim] order."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    if not inputs.row.is_square:
        raise Unserved("compared on squares alone")
    torch._dynamo.reset()  # past a number of shapes flex_attention silently runs unfused
    compiled = torch.compile(flex_attention, dynamic=False)
    case, s, mask, score = inputs.case, inputs.row.s, None, None
    sees, change, tensors = case.sees, case.change, inputs.tensors
    if case.mask != "true":
        # Compiled, as it would hold a flag for every pair otherwise.
        mask = torch.compile(create_block_mask)(
            lambda b, h, q_index, k_index: sees(q_index, k_index), None, None, s, s, device="cuda")
    if case.score != "score":
        def score(found, b, h, q_index, k_index):
            return change(found, q_index, k_index, h, tensors)

    def attend(q, k, v):
        return compiled(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), block_mask=mask,
                        score_mod=score, enable_gqa=inputs.row.group_size > 1,
                        kernel_options=options).transpose(1, 2)
    return attend


def flex_peer(name, options):
    def build(inputs):
        attend = flex_function(inputs, options)
        return Candidate(name, lambda: attend(inputs.q, inputs.k, inputs.v))
    return build


# Each takes Inputs and gives a candidate whose call returns O.
PEERS = {"cudnn": sdpa_peer("cudnn", SDPBackend.CUDNN_ATTENTION),
         "fa2": sdpa_peer("fa2", SDPBackend.FLASH_ATTENTION),
         "fa3": fa3_peer,
         "flex": flex_peer("flex", None),
         "flex_flash": flex_peer("flex_flash", {"BACKEND": "FLASH"})}
# A word in the name of the kernel that proves which backend ran.
PROOF = {"cudnn": "cudnn", "fa2": "flash_fwd", "fa3": "flashattnfwd", "flex": "triton",
         "flex_flash": "flash"}


class Check:
    """Output rows drawn from a few heads, exact in float64 and by plain attention."""

    def __init__(self, inputs, heads=4, rows=64):
        row, case = inputs.row, inputs.case
        self.picks = []  # (batch, head, rows)
        exact, plain, lse = [], [], []
        for _ in range(heads):
            b, h = int(torch.randint(row.b, ())), int(torch.randint(row.h, ()))
            index, kv_h = torch.randperm(row.s)[:rows].cuda(), h // row.group_size
            self.picks.append((b, h, index))
            q, k, v = inputs.q[b, index, h], inputs.k[b, :, kv_h], inputs.v[b, :, kv_h]
            # The last query is at the last key.
            at_q = (index + row.keys - row.s)[:, None]
            at_k = torch.arange(row.keys, device="cuda")[None, :]
            hidden = ~case.sees(at_q, at_k)

            def scores(q, k):
                products = q @ k.T / math.sqrt(row.d)
                return case.change(products, at_q, at_k, h, inputs.tensors).masked_fill(hidden,
                                                                                      -math.inf)

            sharp, rough = scores(q.double(), k.double()), scores(q.float(), k.float())
            exact.append(sharp.softmax(-1) @ v.double())
            lse.append(sharp.logsumexp(-1))
            plain.append((rough.softmax(-1).to(q.dtype) @ v).double())
        self.exact, self.lse = torch.cat(exact), torch.cat(lse)
        self.plain_error = self._relative(torch.cat(plain))

    def _relative(self, found):
        return float((found - self.exact).norm() / self.exact.norm())

    def error(self, o):
        return self._relative(torch.cat([o[b, index, h].double() for b, h, index in self.picks]))

    def _lse_error(self, lse):
        found = torch.cat([lse[b, index, h, 0].double() for b, h, index in self.picks])
        return float((found - self.lse).abs().max())

    def refuse(self, found, peer, theirs):
        """Raises what is wrong with (o, lse), also beside the output of a peer where there is one;
        returns the error."""
        o, lse = found
        error, lse_error = self.error(o), self._lse_error(lse)
        if not error <= 2 * self.plain_error:
            raise ArithmeticError(f"error {error:.2e}, plain attention has {self.plain_error:.2e}")
        if not lse_error <= 1e-3:
            raise ArithmeticError(f"LSE is off by {lse_error:.2e}")
        if theirs is not None:
            apart = float((o.float() - theirs.float()).norm() / theirs.float().norm())
            if not apart <= 4 * self.plain_error:
                raise ArithmeticError(f"differs from {peer} by {apart:.2e}")
        return error

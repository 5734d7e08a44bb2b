#!/usr/bin/env python3
"""Writes the C++ blocks of the pages as functions of one file, for a compiler to judge.

snippets.py ROOT OUTPUT PAGE...: the pages are paths below ROOT. A block finds the names that it takes for
granted declared in front of it.
"""
import re
import sys
from pathlib import Path

# What the blocks of a page take for granted, in their order.
SURROUNDINGS = {
    "README.md": ["void *q, *k, *v, *o, *stream;", "ForwardArgs args;"],
    "docs/architecture.md": ["Tensor q, k, v, o, lse; void *scratch, *stream; std::size_t scratch_bytes;"],
    "docs/decode.md": [
        "Jit jit = Jit::create(); void *q, *k, *v, *o, *scratch, *stream; int *lens, *table, pages;",
        "Jit jit = Jit::create(); Problem problem; Shape shape; Tensor new_k, new_v, q; ForwardArgs args;"
        " void* stream; const ForwardKernel& kernel = jit.forward(problem, shape);"],
    "docs/dropout.md": ["std::uint64_t seed, offset;"],
    "docs/masks.md": ["ForwardArgs args; int* ids; std::int64_t batches, length;"],
    "docs/streaming.md": ["Problem problem; ForwardArgs args;"],
    "docs/tuning.md": [""],
}


def main():
    root, output = Path(sys.argv[1]), Path(sys.argv[2])
    includes, functions = ["#include <streamattn/streamattn.h>"], []
    for page in sys.argv[3:]:
        blocks = re.findall(r"^```cpp\n(.*?)^```", (root / page).read_text(), re.M | re.S)
        surroundings = SURROUNDINGS.get(page, [])
        if len(blocks) != len(surroundings):
            sys.exit(f"{page} has {len(blocks)} blocks of C++, {Path(__file__).name} knows {len(surroundings)}")
        for number, (block, around) in enumerate(zip(blocks, surroundings)):
            includes += re.findall(r"^#include .*", block, re.M)
            body = re.sub(r"^#include .*\n", "", block, flags=re.M).replace("{...}", "{}")
            name = re.sub(r"\W", "_", page) + str(number)
            functions.append(f"void {name}() {{\n{around}\n#line 1 \"block {number} of {page}\"\n{body}}}\n")
    output.write_text("\n".join([*includes, "using namespace streamattn;", *functions]))


main()

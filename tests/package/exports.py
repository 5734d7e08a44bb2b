#!/usr/bin/env python3
"""exports.py shared|static LIBRARY INCLUDE_DIR: fails unless the library has the public functions that
the headers declare, and no other global symbol.

The headers are read as our house style writes them; a declaration that this misses is reported as a
symbol too many."""
import collections
import pathlib
import re
import subprocess
import sys

# Of a public class, without a function of their own in the headers.
CLASS_DATA = r"(vtable|typeinfo|typeinfo name) for streamattn::\w+(::\w+)*$"


def statements(text):
    """Pairs (scope, statement) of what ends with a semicolon in a namespace or a class."""
    text = re.sub(r'/\*(.|\n)*?\*/|//.*|^#(.*\\\n)*.*|extern "C" {| = {}|(public|private):', "",
                  text, flags=re.M)
    scopes = []  # None: a function, an enumeration, an initialiser
    begin = 0
    for mark in re.finditer("[{};]", text):
        statement = " ".join(text[begin:mark.start()].split())
        begin = mark.end()
        if mark[0] == "{":
            opened = re.search(r"\b(?:namespace|class|struct) (?:STREAMATTN_\w+ )?(\w+)[^()=]*$", statement)
            scopes.append(opened[1] if opened else None)
        elif mark[0] == "}":
            scopes = scopes[:-1]  # that of extern "C" opens none
        elif None not in scopes:
            yield scopes, statement


def declared(header):
    """The names of the functions that a header declares and does not define."""
    for scopes, statement in statements(header.read_text()):
        function = re.search(r"(~?\w+|operator\W+)\(", re.sub(r"__attribute__\S+", "", statement))
        if not function or "=" in statement[:function.start()]:
            continue
        if re.match("(typedef|using|friend|template) ", statement) or re.search("= (default|delete|0)$", statement):
            continue
        if " friend " in statement:  # of a class, in the namespace
            scopes = scopes[:-1]
        yield "::".join([*scopes, function[1]])


def defined(kind, library):
    """Pairs (type, demangled name) of the global symbols that the library defines."""
    table = ["-D"] if kind == "shared" else ["-g"]
    lines = subprocess.run(["nm", "-C", *table, "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return {tuple(line.split(None, 2)[1:]) for line in lines if re.match(r"[0-9a-f]{16} ", line)}


def main():
    kind, library, include_dir = sys.argv[1:]
    headers = sorted(pathlib.Path(include_dir, "streamattn").glob("*.h"))
    wanted = collections.Counter(name for header in headers for name in declared(header))
    symbols = defined(kind, library)
    found, foreign = collections.Counter(), []
    for letter, symbol in sorted(symbols):
        name = re.sub(r"\[abi:\w+\]", "", symbol).split("(")[0]
        if letter == "T" and name in wanted:
            found[name] += 1
        elif not (re.match(CLASS_DATA, symbol) or
                  letter in "WVu" and symbol.startswith("streamattn::")):
            foreign.append(symbol)

    complaints = [f"declared {wanted[name]} times, defined {found[name]} times: {name}"
                  for name in sorted(wanted) if found[name] != wanted[name]]
    complaints += [f"global, and in no public header: {symbol}" for symbol in foreign]
    if len(wanted) < 30:
        complaints.append(f"only {len(wanted)} declarations were found in {include_dir}")
    print("\n".join(complaints) or f"{sum(wanted.values())} functions, all there")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

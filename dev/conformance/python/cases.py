"""The harness of a client program: cases one after the other, one line of report each."""

import itertools
import os
import sys
import traceback

PATIENCE = 30.0
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

_cases = []
_topics = itertools.count()


def case(function):
    """Registers a case; it is called with the broker's address and must raise when it fails."""
    _cases.append((function.__name__, function, ()))
    return function


def for_each(values):
    """Registers a case once per value."""

    def register(function):
        for value in values:
            _cases.append((f"{function.__name__}_{value}", function, (value,)))
        return function

    return register


def topic(hint):
    """A name that nobody has used."""
    return f"{hint}-{os.getpid()}-{next(_topics)}"


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: {str(found)[:300]} where {str(expected)[:300]} was expected")


def main():
    """Arguments: HOST:PORT and, where not all cases are wanted, parts of their names."""
    bootstrap, *filters = sys.argv[1:]
    for name, function, arguments in _cases:
        if filters and not any(part in name for part in filters):
            continue
        try:
            function(bootstrap, *arguments)
            print(f"ok {name}", flush=True)
        except Exception as error:
            traceback.print_exc()
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"not ok {name}: {reason}", flush=True)
    print("finished", flush=True)

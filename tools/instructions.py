"""Instructions that fixed training steps take, counted by valgrind: a measure of speed that no noise touches.

    python tools/instructions.py            count and show
    python tools/instructions.py --check    ... and fail where it is more than instructions.json allows
    python tools/instructions.py --update   ... and write instructions.json

Counted are the instructions in the compiled kernels, on AVX2 (valgrind knows no AVX-512) and one thread, and
besides all that are executed, Python's and NumPy's too. A kernel's count moves with the compiler by a few per
cent, so the compiler is stored beside the counts; all depends on Python's and NumPy's versions as well and is
only shown. It tells of work, not of time: a kernel that waits for memory has no more instructions.

Needs valgrind, gcc and a CPU with AVX2; without them it says so and succeeds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).with_suffix(".json")
BOUND = 1.15
WARM_UP, COUNTED = 1, 1  # steps: buffers are made in the first

# Network, mode, batch: few channels, many channels (Winograd), mostly Python; and networks with large
# kernels, batch normalisation, overlapping pools, branches, and one convolution for each channel.
CASES = [
    ("lenet5", "train", 32),
    ("cs231n", "train", 16),
    ("fashion_cnn", "train", 2),
    ("lenet5", "inference", 1),
    ("lenet5_paper", "train", 16),
    ("torch_cifar", "train", 1),
    ("bn_net", "train", 16),
    ("overlap_pool", "train", 16),
    ("resnet20", "train", 2),
    ("mobilenet", "inference", 1),
]

SWITCH = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void stop(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help=f"fail where it is more than {BOUND} times what is stored"
    )
    parser.add_argument("--update", action="store_true", help=f"write {STORED.name}")
    parser.add_argument("--inside", metavar="LIBRARY", help=argparse.SUPPRESS)  # the program that is counted
    options = parser.parse_args()
    if options.inside:
        run_cases(ctypes.CDLL(options.inside))
        return 0
    missing = what_is_missing()
    if missing:
        print(f"skipped: counting instructions needs {missing}")
        return 0
    counts, here = count(), compiler()
    stored = json.loads(STORED.read_text())
    print(f"{'instructions a step':28}{'in kernels':>14}{'stored':>14}{'ratio':>8}{'in all':>14}")
    for name, (kernels, everything) in counts.items():
        before = stored["instructions"].get(name)
        compared = f"{before:>14,}{kernels / before:>8.3f}" if before else f"{'-':>14}{'-':>8}"
        print(f"{name:28}{kernels:>14,}{compared}{everything:>14,}")
    print(f"kernels compiled by {here}; stored: by {stored['compiler']}")
    kernels = {name: kernels for name, (kernels, _) in counts.items()}
    if options.update:
        STORED.write_text(json.dumps({"compiler": here, "instructions": kernels}, indent=1) + "\n")
        print(f"written: {STORED.name}")
        return 0
    wrong, better = compare(kernels, stored["instructions"])
    for line in wrong + better:
        print(line)
    if wrong:
        print("if that is meant: python tools/instructions.py --update, and tell why in the commit")
        if here != stored["compiler"]:
            print("or it is the other compiler: count the commit before with this one")
    return 1 if options.check and wrong else 0


def compare(counts: dict[str, int], stored: dict[str, int]) -> tuple[list[str], list[str]]:
    """What is wrong with the counts, a line each; and what has become so good that it should be stored."""
    wrong, better = [], []
    for name, kernels in counts.items():
        if name not in stored:
            wrong.append(f"NOT STORED: {name}")
        elif kernels > BOUND * stored[name]:
            wrong.append(
                f"MORE: {name} takes {kernels:,} instructions, {kernels / stored[name] - 1:.1%} over the "
                f"{stored[name]:,} stored; {BOUND - 1:.0%} is allowed"
            )
        elif kernels < stored[name] / BOUND:
            better.append(
                f"fewer: {name} takes {1 - kernels / stored[name]:.1%} less than stored; "
                "store it with --update, or a step back will not be seen"
            )
    wrong += [f"STORED, BUT NOT COUNTED ANY MORE: {name}" for name in stored if name not in counts]
    return wrong, better


def what_is_missing() -> str | None:
    """Under valgrind a CPU has at most what the real one has."""
    for program in ("valgrind", "gcc"):
        if not shutil.which(program):
            return program
    sys.path.insert(0, str(ROOT))
    import benchmarks  # noqa: F401  (finds the package that is installed)
    import fastconv

    return None if "avx2" in fastconv.available_isas() else "a CPU with AVX2"


def compiler() -> str:
    """What compiled the kernels, as the compiler wrote it into the module."""
    from fastconv import _kernels

    found = re.search(rb"(GCC: \([^)]*\) [\w.]+|clang version [\w.]+)", Path(_kernels.__file__).read_bytes())
    return found[0].decode() if found else "an unknown compiler"


def run_cases(switch: ctypes.CDLL) -> None:
    """What runs under valgrind; counting is on for the steps alone."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.networks import NETWORKS, batches
    from benchmarks.rivals.ours import RivalNetwork

    for name, mode, batch in CASES:
        network = NETWORKS[name]
        ours = RivalNetwork(network, network.initial_weights(), batches(network, batch), 1e-6)
        step = ours.steps()[mode]
        for i in range(WARM_UP):
            step(i)
        switch.start()
        for i in range(COUNTED):
            step(i)
        switch.stop(f"{name} {mode} {batch}".encode())


def count() -> dict[str, tuple[int, int]]:
    """For each case the instructions of a step: in the kernels, and all."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "switch.c", Path(folder) / "switch.so"
        source.write_text(SWITCH)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        # OPENBLAS_CORETYPE and the like could ask for what valgrind has not.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
        environment |= {
            "FASTCONV_ISA": "avx2",
            "FASTCONV_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
        }
        command = [
            "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
            f"--callgrind-out-file={folder}/counts", sys.executable, __file__, "--inside", str(library),
        ]  # fmt: skip
        subprocess.run(command, check=True, env=environment)
        dumps = [path.read_text() for path in Path(folder).glob("counts.*")]
    counts = {}
    for dump in dumps:
        trigger = next((line for line in dump.splitlines() if line.startswith("desc: Trigger: Client")), None)
        if trigger is not None:
            kernels, everything = parse(dump)
            counts[trigger.split(": ")[-1]] = kernels // COUNTED, everything // COUNTED
    return {name: counts[name] for name in (" ".join(map(str, case)) for case in CASES)}


def parse(dump: str) -> tuple[int, int]:
    """(instructions in fastconv's compiled module, all instructions) of a file in callgrind's format.

    A line "ob=(2) /path" begins the functions of an object file, "ob=(2)" does so again; a line of numbers is
    a position and a count. The line after "calls=" counts what was executed in the function called, not here.
    """
    names: dict[str, str] = {}
    kernels = everything = 0
    inside = called = False
    for line in dump.splitlines():
        key, _, value = line.partition("=")
        if key == "ob":
            number, _, name = value.partition(" ")
            if name:
                names[number] = name
            inside = "fastconv/_kernels" in names[number]
        elif key == "cob":
            number, _, name = value.partition(" ")
            if name:
                names[number] = name
        elif key == "calls":
            called = True
        elif line and line[0] in "0123456789+-*":
            if not called:
                instructions = int(line.split()[1])
                everything += instructions
                kernels += instructions * inside
            called = False
    return kernels, everything


if __name__ == "__main__":
    sys.exit(main())

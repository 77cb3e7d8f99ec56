"""Instructions that fixed training steps take, counted by valgrind: a measure of speed that no noise touches.

    python tools/instructions.py            count and show
    python tools/instructions.py --check    ... and fail where it is more than instructions.json allows
    python tools/instructions.py --update   ... and write instructions.json

Counted are the instructions in the compiled kernels, on AVX2 (valgrind knows no AVX-512) and one thread, and
besides all that are executed, Python's and NumPy's too. A kernel's count moves with the compiler by a few per
cent; all depends on Python's and NumPy's versions as well and is only shown. It tells of work, not of time: a
kernel that waits for memory has no more instructions.

Needs valgrind and gcc; without them it says so and succeeds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).with_suffix(".json")
BOUND = 1.15
WARM_UP, COUNTED = 1, 1  # steps: buffers are made in the first

# Network, mode, batch: few channels, many channels (Winograd), and mostly Python.
CASES = [
    ("lenet5", "train", 32),
    ("cs231n", "train", 16),
    ("fashion_cnn", "train", 2),
    ("lenet5", "inference", 1),
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
    parser.add_argument("--check", action="store_true", help=f"fail at {BOUND:.0%} of what is stored")
    parser.add_argument("--update", action="store_true", help=f"write {STORED.name}")
    parser.add_argument("--inside", metavar="LIBRARY", help=argparse.SUPPRESS)  # the program that is counted
    options = parser.parse_args()
    if options.inside:
        run_cases(ctypes.CDLL(options.inside))
        return 0
    if not shutil.which("valgrind") or not shutil.which("gcc"):
        print("skipped: counting instructions needs valgrind and gcc")
        return 0
    counts = count()
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    worse = []
    print(f"{'instructions a step':28}{'in kernels':>14}{'stored':>14}{'ratio':>8}{'in all':>14}")
    for name, (kernels, everything) in counts.items():
        ratio = kernels / stored[name] if name in stored else float("nan")
        print(f"{name:28}{kernels:>14,}{stored.get(name, 0):>14,}{ratio:>8.3f}{everything:>14,}")
        if not ratio <= BOUND:
            worse.append(name)
    if options.update:
        STORED.write_text(
            json.dumps({name: kernels for name, (kernels, _) in counts.items()}, indent=1) + "\n"
        )
    elif options.check and worse:
        print(f"more than {BOUND:.0%} of what is stored, or not stored: {', '.join(worse)}")
        return 1
    return 0


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
        environment = os.environ | {
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

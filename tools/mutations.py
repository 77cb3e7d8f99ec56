"""Break what makes programs of networks, one small change at a time, and see that a test notices.

    python tools/mutations.py [NUMBER ...] [--jobs 2] [--out docs/results/mutations.json]

Each mutation is a change of a few characters in ``fastconv/engine`` or in a layer's ``lower``. The
conformance tests that are named beside it run on a copy of the package with that change, until the first one
fails: then the mutation is caught. Prints a tally; ends with 1 where a mutation lives, or does not apply.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
CONFORMANCE = "tests/test_engine_program.py"


class Mutation(NamedTuple):
    """``before`` stands once in ``file``, in the package; ``tests`` is what pytest takes as -k."""

    file: str
    before: str
    after: str
    tests: str


LOWER, PASSES, PROGRAM = "engine/lower.py", "engine/passes.py", "engine/program.py"

MUTATIONS = [
    # ---- operations
    Mutation(
        LOWER,
        "padding=(view.rows.before, view.columns.before)",
        "padding=(view.columns.before, view.rows.before)",
        "test_layers and Conv2D",
    ),
    Mutation(LOWER, "strides=view.strides,", "strides=view.strides[::-1],", "test_layers and Conv2D"),
    Mutation(LOWER, "dilation=view.dilation,", "dilation=(1, 1),", "test_layers and Conv2D"),
    Mutation(LOWER, "groups=groups, algorithm=index", "groups=1, algorithm=index", "test_layers and Conv2D"),
    Mutation(
        LOWER,
        "parameter.grad if id(parameter) in self._learned else None",
        "parameter.grad",
        "frozen or goes_back",
    ),
    Mutation(
        LOWER,
        "epsilon=epsilon, momentum=momentum, training=training",
        "epsilon=epsilon, momentum=momentum, training=True",
        "BatchNormalization",
    ),
    Mutation(
        LOWER,
        "epsilon=epsilon, momentum=momentum, training",
        "epsilon=epsilon, momentum=1 - momentum, training",
        "BatchNormalization",
    ),
    Mutation(LOWER, "round(rate * 2**32)", "round((1 - rate) * 2**32)", "test_layers and Dropout"),
    Mutation(
        LOWER,
        '"scale": scale, "shift": shift, "fill": fill',
        '"scale": scale, "shift": fill, "fill": shift',
        "test_layers and Dropout",
    ),
    Mutation(LOWER, '"spatial": spatial', '"spatial": False', "test_layers and Dropout"),
    Mutation(
        LOWER,
        'self._append("elementwise", [a, b]',
        'self._append("elementwise", [b, a]',
        "test_merges or arithmetic",
    ),
    Mutation(LOWER, "if scale == 1 and shift == 0:", "if scale == 1:", "WithNumber"),
    Mutation(
        LOWER,
        "first = self.concatenate(inputs[:MOST_INPUTS])",
        "first = self.concatenate(inputs[MOST_INPUTS - 1 :: -1])",
        "concatenate",
    ),
    Mutation(LOWER, "padding=(rows[0], columns[0])", "padding=(rows[1], columns[1])", "Padding or Cropping"),
    Mutation(
        LOWER,
        'self._append("upsample", [x], size[3 - max(len(x.shape), 2) :], size=factors)',
        'self._append("upsample", [x], size[3 - max(len(x.shape), 2) :], size=factors[::-1])',
        "UpSampling",
    ),
    Mutation(LOWER, 'f"global_{of}_pool"', '"global_avg_pool"', "GlobalMax"),
    Mutation(
        LOWER,
        "if 1 <= len(y.shape) <= 3 and y.size == x.size:",
        "if 1 <= len(y.shape) <= 3:",
        "Reshape or Flatten",
    ),
    Mutation(
        LOWER,
        "DEFAULT_ALPHA.get(function.name, 0.0) if function.alpha is None",
        "0.0 if function.alpha is None",
        "test_layers and Activation",
    ),
    Mutation(
        LOWER,
        "return name not in NEEDS_INPUT",
        "return True",
        "test_layers and Conv2D or test_layers and Dense",
    ),
    Mutation(LOWER, "training if call.training is None else call.training", "training", "own_training"),
    # ---- when lower counts
    Mutation(LOWER, "if computes and name in older and name not in taken:", "if False:", "ones_own"),
    Mutation(
        LOWER, "if changed is None and layer.activity_regularizer is not None:", "if False:", "regularizers"
    ),
    Mutation(LOWER, "changed = None if name is None else", "changed = None if True else", "assigned"),
    # ---- passes
    Mutation(
        PASSES,
        'return whole and one_tap_apart and op["padding"] == (0, 0)',
        "return whole and one_tap_apart",
        "test_layers and Conv2D or cover",
    ),
    Mutation(
        PASSES,
        'whole = op["size"] == sizes[x][:2] and sizes[op["output"]][:2] == (1, 1)',
        'whole = sizes[op["output"]][:2] == (1, 1)',
        "cover or test_layers and Conv2D",
    ),
    Mutation(PASSES, 'op["groups"] != 1 or ', "", "cover or test_layers and Conv2D"),
    Mutation(
        PASSES, "origin.get(x, x)", "origin.get(x, 0)", "test_layers and Reshape or Flatten or test_merges"
    ),
    Mutation(PASSES, 'readers[below["output"]] == 1 and ', "", "asked_for or others_read"),
    Mutation(PASSES, ' and below["output"] not in kept', "", "asked_for"),
    Mutation(PASSES, 'below.get("activation", "linear") == "linear"', "True", "two_activations"),
    Mutation(
        PASSES,
        'for name in ("activation", "alpha", "output")',
        'for name in ("activation", "output")',
        "two_activations or LeakyReLU or ELU",
    ),
    Mutation(PASSES, ' or (op["kind"] == "batch_norm" and op["training"])', "", "moves_and_is_not_read"),
    # ---- programs
    Mutation(PROGRAM, "for op in reversed(ops):", "for op in ops:", "shared"),
    Mutation(PROGRAM, '"adds": not gradients.isdisjoint(seen)', '"adds": False', "shared"),
    Mutation(
        PROGRAM,
        "slots[place] = array if slots[place] is None else slots[place] + array",
        "slots[place] = array",
        "of_ones_own",
    ),
    Mutation(
        PROGRAM,
        "inputs[i] = array if inputs[i] is None else inputs[i] + array",
        "inputs[i] = array",
        "of_ones_own",
    ),
    Mutation(PROGRAM, "or any(needed[number] for number in below)", "", "ones_own"),
    Mutation(PROGRAM, "at_outputs[place] = None", "pass", "ones_own or focal"),
    Mutation(PROGRAM, "return Tensor(number, made.shape)", "return made", "test_losses"),
    # ---- layers
    Mutation(
        "layers/convolution.py",
        "builder.conv(x, self.kernel, self.bias, view, self.filters, self.groups, self.algorithm)",
        "builder.conv(x, self.kernel, None, view, self.filters, self.groups, self.algorithm)",
        "test_layers and Conv",
    ),
    Mutation(
        "layers/batch_normalization.py",
        "training=builder.training and self.trainable,",
        "training=builder.training,",
        "frozen",
    ),
    Mutation(
        "layers/activations.py",
        'builder.elementwise(x, above, "subtract")',
        'builder.elementwise(above, x, "subtract")',
        "PReLU",
    ),
    Mutation(
        "layers/merging.py",
        "builder.scale(super().lower(builder, inputs), 1 / len(inputs))",
        "builder.scale(super().lower(builder, inputs), 1 / 2)",
        "test_merges and Average",
    ),
    Mutation(
        "layers/normalization.py",
        "self.adapt_variance, _LEAST**2)",
        "self.adapt_variance, _LEAST)",
        "constant_channel",
    ),
    Mutation("layers/dropout.py", "a, b, a * _SELU_MINIMUM + b)", "a, b, a * _SELU_MINIMUM)", "AlphaDropout"),
    Mutation(
        "layers/arithmetic.py",
        "builder.scale(x, -1.0, number) if",
        "builder.scale(x, -1.0, -number) if",
        "WithNumber",
    ),
]


def why_not_applicable(mutation: Mutation, package: Path) -> str | None:
    count = (package / mutation.file).read_text().count(mutation.before)
    return None if count == 1 else f"{mutation.file} has {mutation.before!r} {count} times, in place of once"


def verdict(number: int) -> dict[str, object]:
    """What becomes of one mutation: "caught" with the first test that fails, "lives" or "does not apply"."""
    import fastconv

    mutation, package = MUTATIONS[number], Path(fastconv.__file__).parent
    told: dict[str, object] = {"number": number, **mutation._asdict()}
    why_not = why_not_applicable(mutation, package)
    if why_not is not None:
        return told | {"verdict": "does not apply", "by": why_not}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns("__pycache__", "weights", "*.c", "*.pyx")
        shutil.copytree(package, folder / "fastconv", ignore=ignored)
        shutil.copytree(
            CHECKOUT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__", "golden")
        )
        shutil.copy(CHECKOUT / "pyproject.toml", folder)
        path = folder / "fastconv" / mutation.file
        path.write_text(path.read_text().replace(mutation.before, mutation.after))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", CONFORMANCE]
        done = subprocess.run(
            [*command, "-k", mutation.tests],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": name,
                "PYTHONDONTWRITEBYTECODE": "1",
                "FASTCONV_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
        )
    failed = [
        line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))
    ]
    # 1: a test failed; below 0: it crashed. Anything else is no verdict: 5 is that no test was found.
    found = {0: "lives", 1: "caught"}.get(done.returncode, f"pytest ended with {done.returncode}")
    if done.returncode < 0:
        found, failed = "caught", [f"::signal {-done.returncode}"]
    return told | {
        "verdict": found,
        "by": failed[0].partition("::")[2] if failed else None,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", help="of mutations; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="at the same time (default: 2)")
    parser.add_argument("--out", type=Path, help="a .json file for the verdicts")
    options = parser.parse_args()
    numbers = options.numbers or range(len(MUTATIONS))
    verdicts = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for found in pool.map(verdict, numbers):
            verdicts.append(found)
            print(
                f"{found['number']:>3} {found['verdict']:<10} {found['after']}  [{found['by']}]", flush=True
            )
    caught = sum(found["verdict"] == "caught" for found in verdicts)
    print(f"{caught} of {len(verdicts)} mutations caught")
    if options.out is not None:
        import fastconv

        about = {
            "version": fastconv.__version__,
            "command": f"python tools/mutations.py --out {options.out}",
            "caught": caught,
            "mutations": verdicts,
        }
        options.out.write_text(json.dumps(about, indent=1) + "\n")
    return 0 if caught == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

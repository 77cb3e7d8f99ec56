"""The command ``fastconv``; one file per subcommand, each with ``add_arguments`` and ``run``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fastconv.cli import bench, evaluate, info, predict, train

DESCRIPTION = """\
Train and use small convolutional networks on this computer's CPU.

  fastconv train                                      LeNet-5 learns 1,442 handwritten digits, in seconds
  fastconv train --data mnist --epochs 12             ... 60,000 of them, in a minute or two
  fastconv train fashion_cnn --data fashion_mnist     a larger network learns clothes: take your time
  fastconv train lenet5-digits.safetensors            goes on with a network saved before
  fastconv evaluate lenet5-digits.safetensors         how often is it right on images it has not seen?
  fastconv predict lenet5-digits.safetensors 7.png    what is in this picture?
  fastconv bench fashion_cnn                          how fast is it here, layer by layer?
  fastconv info                                       what is this machine, and how fast can it be?
"""

EPILOG = """\
environment:
  FASTCONV_DATA         directories with data sets, searched first (several: separated as in PATH)
  FASTCONV_CACHE        where downloaded data sets are kept
  FASTCONV_NUM_THREADS  threads to use; without it, all CPUs this process may use
  FASTCONV_ISA          instruction set to use: one of those that "fastconv info" lists

exit status: 0 done, 1 training diverged, 2 something was wrong with what was asked, 130 stopped with Ctrl-C
"""

COMMANDS = {"train": train, "evaluate": evaluate, "predict": predict, "bench": bench, "info": info}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (by default the process's) and return its exit status."""
    try:
        arguments = _parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except SystemExit:  # --help, --version, or wrong usage
        _write_no_more()
        raise
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output, such as `head`, has had enough
        _write_no_more()
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"fastconv: error: {error}", file=sys.stderr)
    except MemoryError as error:
        print(f"fastconv: error: not enough memory: {error or 'try a smaller --batch-size'}", file=sys.stderr)
    _write_no_more()
    return 2


def _write_no_more() -> None:
    """Drop what is still to be written, where it cannot be: Python would complain of it when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    from fastconv import __version__

    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("fastconv", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        summary, _, description = (command.__doc__ or "").partition("\n")
        subparser = commands.add_parser(
            name, help=summary.rstrip("."), description=summary + "\n" + description, formatter_class=raw
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser

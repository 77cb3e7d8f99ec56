"""Kill a training at random moments, run it again, and compare the result with an unbroken one, bit by bit.

    python tools/kill_and_resume.py [--runs 50] [--seed 0]

Each run is a training in a process of its own that is killed with SIGKILL up to ``--kills`` times, each time
at a random moment, and started again. A moment is the end of a batch, or just before a file is flushed to
disk, renamed or deleted; so a seed always gives the same kills, however fast the machine is. Prints a tally;
ends with 1 where a run came to anything else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Moments:
    """Counts the moments of this process, and ends it at the one with number ``last``, from 1; 0 for none."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.seen = 0

    def __call__(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self()
            return function(*args, **kwargs)

        return counted


def train(folder: Path, save_freq: str | int, last_moment: int) -> None:
    """The program that is killed. What it leaves behind is ``result.json``."""
    import numpy as np

    from fastconv import callbacks, layers, models, optimizers, utils
    from fastconv._core.files import write_atomically
    from fastconv._core.randomness import generator

    utils.set_random_seed(5)
    rng = np.random.default_rng(6)
    x = rng.normal(size=(150, 8, 8, 1)).astype(np.float32)
    y = (x[:, 2:6, 2:6].sum(axis=(1, 2, 3)) > 0).astype(np.int64)
    model = models.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(16, activation="tanh"),
            layers.Dropout(0.2, seed=7),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(optimizers.Nadam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    moments = Moments(last_moment)
    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, moments.before(getattr(os, name)))
    history = model.fit(
        x[:120],
        y[:120],
        batch_size=16,
        epochs=20,
        validation_data=(x[120:], y[120:]),
        verbose=0,
        callbacks=[
            callbacks.BackupAndRestore(folder / "backup", save_freq=save_freq, double_checkpoint=True),
            callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.98),
            callbacks.ReduceLROnPlateau(patience=1, factor=0.7),
            callbacks.EarlyStopping(patience=4, restore_best_weights=True),
            callbacks.ModelCheckpoint(folder / "best.safetensors", save_best_only=True),
            callbacks.CSVLogger(folder / "log.csv"),
            callbacks.LambdaCallback(on_train_batch_end=moments),
        ],
    )
    best = models.load_model(folder / "best.safetensors")
    result = {
        "moments": moments.seen,
        "weights": [array.tobytes().hex() for array in model.get_weights()],
        "optimizer": {
            name: np.asarray(v).tobytes().hex() for name, v in model.optimizer.state_dict().items()
        },
        "best": [array.tobytes().hex() for array in best.get_weights()],
        "history": history.history,
        "log": (folder / "log.csv").read_text(),
        "files": sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")),
        "next random number": float(generator().random()),
    }
    write_atomically(folder / "result.json", json.dumps(result).encode())


def start(folder: Path, save_freq: str | int, last_moment: int = 0) -> int:
    """Run the program; returns its exit status."""
    options = ["--train", str(folder), "--save-freq", str(save_freq), "--last-moment", str(last_moment)]
    environment = {**os.environ, "FASTCONV_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, __file__, *options], env=environment).returncode


def run(folder: Path, save_freq: str | int, kills: list[int]) -> tuple[dict[str, Any], int]:
    """(result, number of kills): train to the end, killed at each of these moments, one in each process.

    A moment that does not come any more, because the training ends before, kills nobody.
    """
    folder.mkdir()
    killed = 0
    for moment in [*kills, 0]:
        status = start(folder, save_freq, moment)
        killed += status == -signal.SIGKILL
        if status == 0:
            break
        if status != -signal.SIGKILL:
            raise RuntimeError(f"the training ended with {status}")
    return json.loads((folder / "result.json").read_text()), killed


def main() -> int:
    from fastconv.cli.options import whole_number

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=whole_number(1), default=50)
    parser.add_argument("--kills", type=whole_number(1), default=3, help="at most so many in a run")
    parser.add_argument("--seed", type=whole_number(0), default=0)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--save-freq", help=argparse.SUPPRESS)
    parser.add_argument("--last-moment", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        freq = arguments.save_freq
        train(arguments.train, int(freq) if freq.isdecimal() else freq, arguments.last_moment)
        return 0

    draw = random.Random(arguments.seed)
    tally: Counter[str] = Counter()
    kills = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        unbroken, _ = run(folder / "unbroken", "epoch", [])
        moments = unbroken.pop("moments")
        for number in range(arguments.runs):
            at = [draw.randint(1, moments) for _ in range(draw.randint(1, arguments.kills))]
            save_freq: str | int = draw.choice(["epoch", 1, 3, 8, 13])
            result, killed = run(folder / str(number), save_freq, at)
            kills += killed
            different = [part for part in unbroken if result[part] != unbroken[part]]
            tally["the same to the bit" if not different else f"other {', '.join(different)}"] += 1
    print(f"{arguments.runs} trainings, {kills} times killed:")
    for outcome, number in tally.most_common():
        print(f"  {number:4} {outcome}")
    return 0 if set(tally) <= {"the same to the bit"} else 1


if __name__ == "__main__":
    sys.exit(main())

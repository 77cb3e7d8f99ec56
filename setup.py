"""Builds the one compiled module, fastconv._kernels, from fastconv/_kernels.pyx and csrc/**/*.c.

The binary runs on any CPU of its architecture: each isa_*.c switches its own instruction set on
and dispatch.c picks one at import, so there is no -march here. OpenMP is used if a small program using
it compiles and links; FASTCONV_OPENMP=0 builds without it. FASTCONV_CFLAGS adds flags (sanitizers,
debugging).

Every build leaves the module beside the Python sources too, so that after ``pip install .`` fastconv can be
imported in this folder as anywhere else. The number of the sources that is compiled in tells the import
whether they have changed since.
"""

import glob
import os
import runpy
import shlex
import sys
import tempfile

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -ffp-contract=fast: a*b + c is one fused multiply-add where the target has it.
# The next two drop what no kernel uses (errno after sqrtf, trapping on NaN), so that loops vectorise.
# -g0, for Python's own flags may ask for debug information, five times as large as the code itself.
GNU_FLAGS = ["-std=gnu11", "-O3", "-g0", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
             "-fvisibility=hidden", "-Wall", "-Wextra"]  # fmt: skip
# OpenMP's pragmas, and what only they use.
GNU_FLAGS_WITHOUT_OPENMP = ["-Wno-unknown-pragmas", "-Wno-unused", "-Wno-unused-parameter"]
FINGERPRINT = runpy.run_path("fastconv/_sources.py")["fingerprint"]()

MSVC_FLAGS = ["/O2", "/std:c11"]  # not /fp:fast: rounding tricks and NaN must stay

OPENMP_PROGRAM = """
#include <omp.h>
int main(void) {
    int sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 4; i++) sum += omp_get_max_threads() > 0;
    return sum != 4;
}
"""


class BuildKernels(build_ext):
    def run(self) -> None:
        super().run()
        if not self.inplace:
            self.copy_extensions_to_source()

    def build_extension(self, extension: Extension) -> None:
        msvc = self.compiler.compiler_type == "msvc"
        extra = shlex.split(os.environ.get("FASTCONV_CFLAGS", ""))
        compile_flags = (MSVC_FLAGS if msvc else GNU_FLAGS) + extra
        link_flags = extra + ([] if msvc else ["-lm"])
        openmp = self.openmp_flags(msvc)
        if openmp is None:
            self.warn("building fastconv without OpenMP: kernels will use one thread")
            compile_flags += [] if msvc else GNU_FLAGS_WITHOUT_OPENMP
        else:
            compile_flags += openmp[0]
            link_flags += openmp[1]
        extension.extra_compile_args, extension.extra_link_args = compile_flags, link_flags
        super().build_extension(extension)

    def openmp_flags(self, msvc: bool) -> tuple[list[str], list[str]] | None:
        """Compile and link flags with which a program using OpenMP builds, or None."""
        if os.environ.get("FASTCONV_OPENMP") == "0":
            return None
        candidates = [(["-fopenmp"], ["-fopenmp"])]
        if msvc:
            candidates = [(["/openmp"], [])]
        elif sys.platform == "darwin":
            candidates += [(["-Xpreprocessor", "-fopenmp"], ["-lomp"])]
        return next((flags for flags in candidates if self.links(*flags)), None)

    def links(self, compile_flags: list[str], link_flags: list[str]) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "openmp_probe.c")
            with open(source, "w") as file:
                file.write(OPENMP_PROGRAM)
            try:
                objects = self.compiler.compile([source], output_dir=folder, extra_postargs=compile_flags)
                probe = os.path.join(folder, "probe")
                self.compiler.link_executable(objects, probe, extra_postargs=link_flags)
            except Exception:  # every compiler class raises its own kind
                return False
        return True


setup(
    ext_modules=cythonize(
        Extension(
            "fastconv._kernels",
            ["fastconv/_kernels.pyx", *sorted(glob.glob("csrc/**/*.c", recursive=True))],
            include_dirs=["csrc"],
            define_macros=[("FASTCONV_SOURCES", f"{FINGERPRINT}LL")],
            depends=sorted(glob.glob("csrc/**/*.h", recursive=True)),
        ),
        language_level=3,
    ),
    cmdclass={"build_ext": BuildKernels},
)

#!/usr/bin/env bash
# Kernel tests on CPUs that are not here, emulated by QEMU.
#
#     tools/qemu_tests.sh                  all of these
#     tools/qemu_tests.sh native           tests/c, built for this machine and run on it
#     tools/qemu_tests.sh nehalem          the installed package on an x86-64 without AVX: import, kernel tests
#     tools/qemu_tests.sh aarch64          tests/c, cross-compiled, on an emulated aarch64
#
# nehalem runs $PYTHON (default: python3), which must have fastconv and its test extra. Debian's packages are
# qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross; what is missing is skipped, and said.
case "${1:-}" in -h|--help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# As setup.py compiles.
flags=(-std=gnu11 -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wextra -fopenmp -Icsrc)

have() {
    command -v "$1" >/dev/null || { echo "skipped: $1 is not installed"; return 1; }
}

native() {
    have gcc || return 0
    gcc "${flags[@]}" -o "$work/native" tests/c/kernels_test.c -Icsrc $(find csrc -name "*.c") -lm
    "$work/native"
}

nehalem() {
    have qemu-x86_64 || return 0
    local python; python=$("${PYTHON:-python3}" -c "import sys; print(sys.executable)")
    # OpenBLAS and we would follow these on to a CPU that is not there.
    local emulated=(env -u OPENBLAS_CORETYPE -u FASTCONV_ISA FASTCONV_TEST_EXAMPLES=0.1 qemu-x86_64 -cpu Nehalem "$python")
    local available; available=$(cd "$work" && "${emulated[@]}" -c "import fastconv; print(*fastconv.available_isas())")
    echo "instruction sets found: $available"
    test "$available" = baseline
    "${emulated[@]}" -m pytest -q -p no:cacheprovider tests/test_ops_*.py tests/test_winograd.py tests/test_engine_{lanes,pixels,dropout}.py
}

aarch64() {
    have aarch64-linux-gnu-gcc && have qemu-aarch64 || return 0
    aarch64-linux-gnu-gcc "${flags[@]}" -o "$work/aarch64" tests/c/kernels_test.c -Icsrc $(find csrc -name "*.c") -lm
    qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/aarch64"
}

[ $# -gt 0 ] || set -- native nehalem aarch64
for name in "$@"; do
    echo "==== $name"
    case $name in
        native | nehalem | aarch64) "$name" ;;
        *) echo "unknown: $name; known are native, nehalem and aarch64" >&2; exit 2 ;;
    esac
done

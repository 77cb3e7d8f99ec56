#!/usr/bin/env bash
# The C tests under ThreadSanitizer: reads and writes of several threads that nothing puts in order.
#
#     tools/thread_sanitizer.sh                    tests/c/kernels_test.c and tests/c/programs_test.c
#     tools/thread_sanitizer.sh programs_test      one of them
#
# GCC's OpenMP does not tell the sanitizer what its barriers order; LLVM's does, with the library archer. Debian's
# packages are clang, libclang-rt-14-dev and libomp-dev (of clang's version). CC names another clang.
case "${1:-}" in -h|--help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
set -euo pipefail
cd "$(dirname "$0")/.."
cc=${CC:-clang}
command -v "$cc" >/dev/null || { echo "skipped: $cc is not installed"; exit 0; }
archer=$("$cc" -print-file-name=libarcher.so)
[ -e "$archer" ] || archer=$("$cc" -print-resource-dir)/../../libarcher.so
[ -e "$archer" ] || { echo "skipped: libarcher.so is not installed"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# As setup.py compiles, but for -O1, which keeps the lines of a report.
flags=(-std=gnu11 -O1 -g -ffp-contract=fast -fno-math-errno -fno-trapping-math -fwrapv -fopenmp -fsanitize=thread -Icsrc)
find csrc -name "*.c" -print0 | xargs -0 -P "$(nproc)" -I{} sh -c \
    'o="$1/$(echo "$2" | tr / _).o"; shift 2; "$@" -o "$o"' sh "$work" {} "$cc" "${flags[@]}" -c {}

[ $# -gt 0 ] || set -- kernels_test programs_test
for name in "$@"; do
    echo "==== $name"
    "$cc" "${flags[@]}" -Itests/c "tests/c/$name.c" "$work"/*.o -lm -lpthread -o "$work/$name"
    # kernels_test asks for more memory than there is, to be refused.
    OMP_TOOL_LIBRARIES=$archer OMP_DYNAMIC=false \
        TSAN_OPTIONS="ignore_noninstrumented_modules=1 allocator_may_return_null=1 exitcode=66" "$work/$name"
done

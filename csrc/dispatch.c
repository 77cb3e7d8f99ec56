/* dispatch.c - which instruction set, and how many threads: decided once, at import.
 *
 * CPUID says what the CPU can do; XGETBV says which registers the operating system saves on a task
 * switch. Both must agree: AVX on a CPU that has it but under a system that does not save its registers
 * would mix up two programs' numbers.
 */
#include <stddef.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels.h"
#include "threads.h"

#define MOST_ISAS 3

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

static unsigned system_saved_registers(void) {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int detect(const fc_kernels *found[MOST_ISAS]) {
    enum { FMA = 1u << 12, OSXSAVE = 1u << 27, AVX = 1u << 28 };                   /* leaf 1, ecx */
    enum { AVX2 = 1u << 5, F = 1u << 16, DQ = 1u << 17, BW = 1u << 30 };           /* leaf 7, ebx */
    const unsigned VL = 1u << 31;
    enum { YMM_STATE = 0x06, ZMM_STATE = 0xe6 };                                   /* XCR0 */
    unsigned eax, ebx, ecx, edx;
    int count = 0;
    found[count++] = &fc_kernels__baseline;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return count;
    const unsigned avx_fma = FMA | OSXSAVE | AVX;
    if ((ecx & avx_fma) != avx_fma) return count;
    const unsigned saved = system_saved_registers();
    if ((saved & YMM_STATE) != YMM_STATE) return count;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & AVX2)) return count;
    found[count++] = &fc_kernels__avx2;

    const unsigned avx512 = F | DQ | BW | VL;
    if ((saved & ZMM_STATE) == ZMM_STATE && (ebx & avx512) == avx512) found[count++] = &fc_kernels__avx512;
    return count;
}
#else
static int detect(const fc_kernels *found[MOST_ISAS]) {
    int count = 0;
    found[count++] = &fc_kernels__baseline;
#if defined(__aarch64__) && defined(__GNUC__)
    found[count++] = &fc_kernels__neon;
#endif
    return count;
}
#endif

static const fc_kernels *available[MOST_ISAS];
static int available_count = 0;
static int active = 0;
static int threads = 1;

int fc_isa_count(void) {
    if (available_count == 0) {
        available_count = detect(available);
        active = available_count - 1;
    }
    return available_count;
}

/* Whoever asks first finds them. */
static const fc_kernels *at(int index) { return fc_isa_count() ? available[index] : NULL; }

const char *fc_isa_name(int index) { return at(index)->name; }
int fc_isa_lanes(int index) { return at(index)->lanes; }
int fc_isa_active(void) { return fc_isa_count() ? active : 0; }
void fc_isa_select(int index) { active = fc_isa_count() ? index : 0; }
const fc_kernels *fc_kernels_active(void) { return at(fc_isa_active()); }

int fc_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int fc_num_threads(void) { return threads; }
void fc_set_num_threads(int n) { threads = n; }

#if defined(_OPENMP) && defined(__GNUC__) && __GNUC__ >= 9 && !defined(__clang__) && !defined(_WIN32)
#include <pthread.h>

/* GNU's OpenMP keeps the threads that have helped a thread, for its next kernel. A forked child has the note of them
 * but not the threads, and would wait for them for ever. So a thread that forks first ends its helpers; the next
 * kernel starts new ones, on both sides. LLVM's OpenMP does so itself. */
static void end_helpers(void) { omp_pause_resource_all(omp_pause_hard); }
__attribute__((constructor)) static void end_helpers_before_fork(void) { pthread_atfork(end_helpers, NULL, NULL); }
#endif

int fc_thread_index(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

int fc_team_size(void) {
#ifdef _OPENMP
    return omp_get_num_threads();
#else
    return 1;
#endif
}

double fc_seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int fc_threads_for(double operations) {
    /* Waking a thread and waiting for it costs some ten microseconds: about this many operations done alone. */
    const double worth_waking = 1e6;
    return operations < worth_waking ? 1 : threads;
}

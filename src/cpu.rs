//! Whether this processor can run this build at all, said in words instead of SIGILL.
//!
//! The compiler may use any instruction of the target in any function, this check included. So
//! there is nothing here that it could do in another way than with the plainest ones: no lists, no
//! formatting. Try `qemu-x86_64 -cpu Nehalem target/release/microllm --version` after a change.

/// What to tell the owner of a processor that is too old.
#[cfg(target_arch = "x86_64")]
static REFUSAL: &str = "microllm: this build needs an x86-64-v3 processor, with AVX2, BMI1, BMI2, \
    F16C, FMA, LZCNT and MOVBE (Intel Haswell of 2013, AMD Excavator of 2015, or later), and this \
    one lacks some of them. To run here, build from source with \
    RUSTFLAGS=\"-C target-cpu=native\".\n";

/// One line for the processor's owner when it lacks what the build takes for granted.
///
/// Asks the processor itself: `is_x86_feature_detected!` is answered at compile time for whatever
/// the build was told to use. Builds for another `target-cpu` ask for less.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub fn refusal() -> Option<&'static str> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    const fn wanted(bit: u32, is_used: bool) -> u32 {
        if is_used { 1 << bit } else { 0 }
    }
    const EXTENDED: u32 = 0x8000_0001;
    const OSXSAVE_AND_AVX: u32 =
        wanted(27, cfg!(target_feature = "avx")) | wanted(28, cfg!(target_feature = "avx"));
    const LEAF_1_ECX: u32 = OSXSAVE_AND_AVX
        | wanted(12, cfg!(target_feature = "fma"))
        | wanted(22, cfg!(target_feature = "movbe"))
        | wanted(29, cfg!(target_feature = "f16c"));
    const LEAF_7_EBX: u32 = wanted(3, cfg!(target_feature = "bmi1"))
        | wanted(5, cfg!(target_feature = "avx2"))
        | wanted(8, cfg!(target_feature = "bmi2"));
    const EXTENDED_ECX: u32 = wanted(5, cfg!(target_feature = "lzcnt"));

    // A leaf beyond the highest answers with another leaf's bits.
    let fits = __cpuid(1).ecx & LEAF_1_ECX == LEAF_1_ECX
        && (LEAF_7_EBX == 0
            || __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & LEAF_7_EBX == LEAF_7_EBX)
        && (EXTENDED_ECX == 0
            || __cpuid(0x8000_0000).eax >= EXTENDED
                && __cpuid(EXTENDED).ecx & EXTENDED_ECX == EXTENDED_ECX);
    if fits { None } else { Some(REFUSAL) }
}

/// Other architectures are built for their baseline.
#[cfg(not(target_arch = "x86_64"))]
pub fn refusal() -> Option<&'static str> {
    None
}

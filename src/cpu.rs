//! Whether this processor can run this build at all, said in words instead of SIGILL.

/// What the build needs and the processor lacks, as one line for its owner.
///
/// Asks the processor itself: `is_x86_feature_detected!` is answered at compile time for whatever
/// the build takes for granted.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub fn refusal() -> Option<String> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    const LEAF_EXTENDED: u32 = 0x8000_0001;
    let highest = __cpuid(0).eax;
    let highest_extended = __cpuid(0x8000_0000).eax;
    let basic = __cpuid(1).ecx;
    let seven = if highest >= 7 {
        __cpuid_count(7, 0).ebx
    } else {
        0
    };
    let extended = if highest_extended >= LEAF_EXTENDED {
        __cpuid(LEAF_EXTENDED).ecx
    } else {
        0
    };

    let has = |register: u32, bit: u32| register >> bit & 1 == 1;
    // Only what this build was told to use: another `target-cpu` needs less.
    let needs = [
        ("FMA", cfg!(target_feature = "fma"), has(basic, 12)),
        ("MOVBE", cfg!(target_feature = "movbe"), has(basic, 22)),
        ("OSXSAVE", cfg!(target_feature = "avx"), has(basic, 27)),
        ("AVX", cfg!(target_feature = "avx"), has(basic, 28)),
        ("F16C", cfg!(target_feature = "f16c"), has(basic, 29)),
        ("BMI1", cfg!(target_feature = "bmi1"), has(seven, 3)),
        ("AVX2", cfg!(target_feature = "avx2"), has(seven, 5)),
        ("BMI2", cfg!(target_feature = "bmi2"), has(seven, 8)),
        ("LZCNT", cfg!(target_feature = "lzcnt"), has(extended, 5)),
    ];
    let missing: Vec<&str> = needs
        .into_iter()
        .filter(|(_, needed, present)| *needed && !present)
        .map(|(name, ..)| name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(", ");
    Some(format!(
        "microllm: this build needs an x86-64-v3 processor (Intel Haswell of 2013, AMD Excavator \
         of 2015, or later); this one lacks {missing}. Build from source with \
         RUSTFLAGS=\"-C target-cpu=native\" to run here.\n"
    ))
}

/// Other architectures are built for their baseline.
#[cfg(not(target_arch = "x86_64"))]
pub fn refusal() -> Option<String> {
    None
}

//! Huge pages, where the allocator and the kernel would have them: of 2 MiB instead of 4 KiB.
//!
//! They are good for weights, which are large, stay, and are read from end to end. The small things
//! that each request takes and gives back make the process larger by half in them: of each page that
//! anything is left on, all of it stays.

/// Whether memory that is touched for the first time from now on may be in huge pages. For the whole
/// process; what is there stays as it is. Does nothing where the system knows no such setting.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn allow(allowed: bool) {
    let disable = libc::c_ulong::from(!allowed);
    let unused: libc::c_ulong = 0;
    // SAFETY: takes and returns numbers alone.
    let done = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, disable, unused, unused, unused) };
    if done != 0 {
        let error = std::io::Error::last_os_error();
        tracing::debug!(%error, "huge pages stay as they are");
    }
}

/// Whether memory that is touched for the first time from now on may be in huge pages.
#[cfg(not(target_os = "linux"))]
pub fn allow(_allowed: bool) {}

//! How the process treats memory that it has freed.

/// More than any batch or fetch takes, and less than glibc's largest (32 MiB).
const BYTES: usize = 31 << 20;

/// Has glibc keep memory that is freed, up to 62 MiB of it, for the next allocation.
///
/// At first it gives everything above 128 KiB at the end of its heap back to the system with each `free`, and a broker frees
/// buffers of some 64 KiB for every batch: each is then taken from the system again and zeroed by it page by page, which
/// was an eighth of a broker's processor time. glibc learns from the first larger block that is freed that such blocks
/// come and go, so one is shown to it. It is never touched, so it takes no memory. Other allocators do not care.
pub(super) fn keep_what_is_freed() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BYTES)));
}

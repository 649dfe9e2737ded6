//! The `rook-multihome` program: allocator, cryptography, exit code. Everything else is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

// glibc's allocator is as fast here and takes half the memory; musl's, in static images, is slow.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider for the process, before anything makes a TLS connection. It can only be there already.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    rook_multihome::cli::main()
}

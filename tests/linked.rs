//! The binary runs on a machine that has no database client: SQLite, the MySQL protocol and TLS are in it.

use std::process::Command;

/// What a machine that has only a C library has.
const EVERYWHERE: [&str; 7] =
    ["linux-vdso", "libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "ld-linux"];

#[test]
fn no_client_library_is_linked() {
    let output = Command::new("ldd").arg(env!("CARGO_BIN_EXE_marquee")).output().unwrap();
    let libraries = String::from_utf8(output.stdout).unwrap();
    let foreign: Vec<&str> = libraries
        .lines()
        .map(str::trim)
        .filter(|line| !EVERYWHERE.iter().any(|known| line.contains(known)))
        // musl's ldd says so of a static binary, and exits with 1.
        .filter(|line| !line.contains("not a dynamic executable") && !line.contains("statically linked"))
        .filter(|line| !line.contains("ld-musl"))
        .collect();
    assert!(foreign.is_empty(), "the binary needs more than a C library: {foreign:#?}");
    // In words that survive a longer list above.
    for name in ["mysql", "maria", "sqlite", "ssl", "crypto"] {
        assert!(!libraries.contains(name), "{name} is linked:\n{libraries}");
    }
}

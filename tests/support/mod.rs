//! What several tests need: fixture folders, a running server, and a client that speaks to it as the API server does.

#![allow(dead_code, unreachable_pub, missing_docs)] // each test uses its own part of this

pub mod client;
pub mod control_plane;
pub mod fake_api;
pub mod fixtures;
pub mod load;
pub mod release;
pub mod server;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program under test.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rook-multihome"));
    command.current_dir(project()).env_remove("RUST_LOG").env_remove("KUBECONFIG");
    command
}

/// Whether files with expected output are to be written instead of compared (`BLESS=1`).
pub fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Compares `found` with the file `path`, or writes it there when blessing.
pub fn expect_file(path: &Path, found: &str) {
    if bless() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == found,
        "{} is not what came out. If what came out is right, run the test again with BLESS=1 and read the difference.\n--- expected\n{expected}\n--- came out\n{found}",
        path.display()
    );
}

/// Answers each connection on a thread of its own, for as long as the test runs.
pub fn answer_each(listener: TcpListener, answer: impl Fn(TcpStream) + Clone + Send + 'static) {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
}

/// Standard output of a command that has to succeed.
pub fn stdout(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The folders in `path`, in alphabetical order.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

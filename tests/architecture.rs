//! The map of the house, guarded: a room uses only rooms below it, and each outside library stays in the rooms it belongs to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

use std::fs;
use std::path::{Path, PathBuf};

/// From the top down. `src/lib.rs` has the same list, with what each room is for.
const ROOMS: [&str; 12] =
    ["cli", "serve", "status", "tls", "wire", "admit", "lint", "watch", "world", "storage", "network", "api"];

/// Libraries that only some rooms may use.
const KEPT_IN: [(&str, &[&str]); 14] = [
    ("kube", &["watch", "tls", "status"]),
    ("k8s_openapi", &["watch", "tls", "status"]),
    ("axum", &["serve"]),
    ("hyper", &["serve"]),
    ("hyper_util", &["serve"]),
    ("tower_http", &["serve"]),
    ("prometheus_client", &["serve"]),
    ("rustls", &["serve", "tls"]),
    ("tokio", &["cli", "serve", "watch", "tls", "status"]),
    ("clap", &["cli"]),
    ("opentelemetry", &["cli", "serve"]),
    ("opentelemetry_http", &["cli"]),
    ("opentelemetry_otlp", &["cli"]),
    ("opentelemetry_sdk", &["cli"]),
];

/// Of rooms that do other things besides, the part that talks to Kubernetes,
const TALKS_TO_KUBERNETES: [(&str, &str); 2] = [("tls", "src/tls/cluster/"), ("status", "src/status/cluster.rs")];
/// and those that compute and nothing else, so that they can be tested with a clock that is moved.
const PURE_FILES: [&str; 12] = [
    "src/tls/authority.rs",
    "src/tls/certificate.rs",
    "src/tls/rotation.rs",
    "src/tls/stored.rs",
    "src/tls/trust.rs",
    "src/status/attachable.rs",
    "src/status/conditions.rs",
    "src/status/size.rs",
    "src/status/sound.rs",
    "src/status/networks.rs",
    "src/status/lease.rs",
    "src/status/ledger.rs",
];

/// Rooms that compute and nothing else.
const PURE: [&str; 6] = ["wire", "admit", "lint", "storage", "network", "api"];
/// What a pure room must not contain, besides the libraries above.
const IMPURE: [&str; 8] =
    ["async fn", ".await", "std::fs", "std::net::Tcp", "std::env", "SystemTime::now", "Instant::now", "std::thread"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(sources_sorted(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            sources.push(path);
        }
    }
    sources
}

fn sources_sorted(folder: &Path) -> Vec<PathBuf> {
    let mut sources = sources(folder);
    sources.sort();
    sources
}

/// The code of a file, without comments: a room may be named where it is explained.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn room_files() -> Vec<(&'static str, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    ROOMS.iter().flat_map(|room| sources_sorted(&src.join(room)).into_iter().map(move |path| (*room, path))).collect()
}

fn names(code: &str, path: &str) -> bool {
    let uses = |at: usize| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let word = |character: char| character.is_alphanumeric() || character == '_';
        !before.is_some_and(|before| word(before) || before == ':') && !after.is_some_and(word)
    };
    code.match_indices(path).any(|(at, _)| uses(at))
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    let files = room_files();
    assert!(files.len() > 30, "the rooms were not found");
    for (room, path) in files {
        let position = ROOMS.iter().position(|other| *other == room).unwrap();
        let code = code(&path);
        assert!(!code.contains("crate::{"), "{}: name each room in a line of its own, for this test", path.display());
        for above in &ROOMS[..position] {
            assert!(!names(&code, &format!("crate::{above}")), "{} goes up to {above}", path.display());
        }
        // The certificates' room stands beside the others: it knows nothing of pods, and only the top needs it.
        if room != "cli" && room != "serve" && room != "tls" {
            assert!(!names(&code, "crate::tls"), "{} has no use for certificates", path.display());
        }
    }
}

#[test]
fn every_folder_is_a_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            assert!(ROOMS.contains(&name.as_str()), "src/{name} is not on the map");
        } else {
            assert!(["lib.rs", "main.rs"].contains(&name.as_str()), "src/{name} lies outside the rooms");
        }
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    for (room, path) in room_files() {
        let code = code(&path);
        for (library, rooms) in KEPT_IN {
            let used = names(&code, &format!("use {library}"))
                || code.contains(&format!(" {library}::"))
                || code.contains(&format!("({library}::"));
            assert!(!used || rooms.contains(&room), "{} uses {library}, which belongs to {rooms:?}", path.display());
            let talks = library == "kube" || library == "k8s_openapi";
            let talker = TALKS_TO_KUBERNETES.iter().find(|(of, _)| *of == room).map(|(_, talker)| talker);
            let may_talk = talker.is_none_or(|talker| path.to_string_lossy().contains(talker));
            assert!(!used || !talks || may_talk, "{} uses {library}, which is for {talker:?}", path.display());
        }
    }
}

#[test]
fn pure_rooms_compute_and_nothing_else() {
    let is_pure = |room: &str, path: &Path| PURE.contains(&room) || PURE_FILES.iter().any(|pure| path.ends_with(pure));
    let pure: Vec<PathBuf> =
        room_files().into_iter().filter(|(room, path)| is_pure(room, path)).map(|(_, path)| path).collect();
    assert!(PURE_FILES.iter().all(|file| pure.iter().any(|path| path.ends_with(file))), "a pure file is gone");
    for path in pure {
        // Tests may look at the clock.
        let code = code(&path);
        let code = code.split("#[cfg(test)]").next().unwrap();
        for impure in IMPURE {
            assert!(!code.contains(impure), "{} has {impure}, and is to compute and nothing else", path.display());
        }
    }
}

#[test]
fn files_can_be_read_in_one_sitting() {
    for (_, path) in room_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 450, "{} has {lines} lines; split it by what its parts are for", path.display());
        let head = fs::read_to_string(&path).unwrap();
        assert!(head.starts_with("//!"), "{} does not say what it is for", path.display());
    }
}

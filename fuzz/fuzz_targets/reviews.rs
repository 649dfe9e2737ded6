//! Whatever reaches the port, decided and judged in the world of every example.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rook_multihome::wire::Review;
use rook_multihome::world::Snapshot;
use rook_multihome_fuzz::{check_change, check_review, examples};

static WORLDS: LazyLock<Vec<Snapshot>> = LazyLock::new(examples);

fuzz_target!(|body: &[u8]| {
    if let Err(unreadable) = Review::read(body) {
        let answer = unreadable.to_string();
        assert!(answer.len() < 2_000, "{} bytes: {answer}", answer.len());
        return;
    }
    for world in &*WORLDS {
        check_review(world, body);
        check_change(world, body);
    }
});

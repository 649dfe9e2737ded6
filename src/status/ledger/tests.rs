//! What is due, with a clock that is moved.

use super::*;
use crate::api::{Condition, ConditionStatus};

fn id(name: &str) -> ObjectName {
    ObjectName { namespace: "s".to_owned(), name: name.to_owned() }
}

fn wanted(name: &str, system: &str) -> Wanted {
    let status = StorageNetworkStatus { system: Some(system.to_owned()), ..StorageNetworkStatus::default() };
    Wanted { id: id(name), created: "then".into(), status }
}

/// Everything that is due, settled with `outcome`.
fn settle_all(ledger: &mut Ledger, outcome: Outcome, now: Instant) -> Vec<String> {
    let mut settled = Vec::new();
    while let Some((id, _)) = ledger.due(now) {
        ledger.settle(&id, outcome, now);
        settled.push(id.name);
    }
    settled
}

#[test]
fn only_what_has_changed_is_due() {
    let now = Instant::now();
    let mut ledger = Ledger::new(now);
    ledger.want([wanted("a", "x"), wanted("b", "x")], now);
    assert_eq!(settle_all(&mut ledger, Outcome::Written, now), ["a", "b"]);
    ledger.want([wanted("a", "x"), wanted("b", "y")], now);
    assert_eq!(settle_all(&mut ledger, Outcome::Written, now), ["b"]);
    ledger.want([wanted("a", "x"), wanted("b", "y")], now);
    assert_eq!(ledger.due(now), None);
    // Made anew, it has no status yet.
    let anew = Wanted { created: "now".into(), ..wanted("a", "x") };
    ledger.want([anew, wanted("b", "y")], now);
    assert_eq!(settle_all(&mut ledger, Outcome::Written, now), ["a"]);
    // Once in a while all are looked at.
    assert_eq!(settle_all(&mut ledger, Outcome::Agrees, now + LOOKED_AT_AGAIN), ["a", "b"]);
    // What is gone is forgotten, and what came of it too.
    ledger.want([wanted("b", "y")], now);
    ledger.settle(&id("a"), Outcome::Gone, now);
    ledger.forget();
    assert_eq!(ledger.due(now + LOOKED_AT_AGAIN * 2), None);
}

#[test]
fn one_that_fails_waits_longer_and_holds_up_no_other() {
    let mut now = Instant::now();
    let mut ledger = Ledger::new(now);
    ledger.want([wanted("bad", "x")], now);
    let mut attempts = 0;
    for second in 0..600 {
        attempts += settle_all(&mut ledger, Outcome::Failed, now).len();
        // Its changes are no reason to try more often; and another one is done at once.
        ledger.want([wanted("bad", &second.to_string()), wanted("good", &second.to_string())], now);
        let (due, _) = ledger.due(now).unwrap();
        assert_eq!(due.name, "good");
        ledger.settle(&due, Outcome::Written, now);
        now += Duration::from_secs(1);
    }
    assert!((10..20).contains(&attempts), "{attempts}");
    ledger.settle(&id("bad"), Outcome::Written, now);
    ledger.want([wanted("bad", "another"), wanted("good", "599")], now);
    assert_eq!(ledger.due(now).unwrap().0, id("bad"), "it has recovered");
}

#[test]
fn what_is_not_known_yet_is_held_back() {
    let now = Instant::now();
    let mut ledger = Ledger::new(now);
    let condition = Condition {
        kind: "ResolvedRefs".to_owned(),
        status: ConditionStatus::Unknown,
        observed_generation: None,
        last_transition_time: String::new(),
        reason: "AttachmentsNotListed".to_owned(),
        message: String::new(),
    };
    let mut provisional = wanted("a", "x");
    provisional.status.conditions.push(condition);
    ledger.want([provisional.clone()], now);
    assert_eq!(ledger.due(now), None);
    assert!(ledger.due(now + PATIENCE).is_some(), "but not for ever");
    ledger.want([wanted("a", "x")], now);
    assert!(ledger.due(now).is_some());
}

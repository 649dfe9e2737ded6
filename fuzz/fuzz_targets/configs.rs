//! The configuration in an attachment definition: whatever it is, all that can be asked about it has an answer of some size.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use rook_multihome::network::AttachmentDefinition;
use rook_multihome::network::ipam::{Capacity, NetworksUnknown};
use serde_json::json;

/// The most bytes of a sentence. Of texts that somebody else wrote, a sentence repeats no more than 120 characters each.
const SENTENCE: usize = 1_500;

fuzz_target!(|config: &str| {
    let object = json!({"metadata": {"namespace": "ns", "name": "nad"}, "spec": {"config": config}});
    let definition = match AttachmentDefinition::read(&object) {
        Ok(definition) => definition,
        Err(error) => return said(&error.to_string()),
    };
    for fault in definition.plugin_faults() {
        said(&fault.to_string());
        said(&fault.mend());
    }
    for fault in definition.ipam_faults() {
        said(&fault.to_string());
        said(&fault.mend());
    }
    let count = definition.plugin_faults().count() + definition.ipam_faults().len();
    assert!(count <= config.len(), "{count} faults of {} bytes", config.len());
    assert_eq!(definition.worst_effect().is_some(), count > 0);
    for plugin in definition.plugins() {
        _ = plugin.master();
        _ = plugin.allows("ips");
    }
    let ipam = &definition.ipam;
    match (definition.networks(), ipam.failure()) {
        (Ok(networks), None) => {
            let distinct: HashSet<_> = networks.iter().collect();
            assert_eq!(distinct.len(), networks.len(), "each network is named once");
            assert!(!networks.is_empty() && !ipam.families().is_empty());
        }
        (Err(NetworksUnknown::Invalid(fault)), Some(failure)) => assert_eq!(fault, failure),
        (Err(_), None) => {}
        (networks, failure) => panic!("{networks:?} beside {failure:?}"),
    }
    if let (Some(_), capacity) = (ipam.failure(), definition.capacity()) {
        assert!(matches!(capacity, Capacity::Pods { most: 0, .. }), "{capacity:?}");
    }
    for range in ipam.ranges() {
        assert!(range.addresses() > 0 || ipam.failure().is_some() || range.excluded.len() > 1, "{range:?}");
        _ = (range.hands_out(range.first), range.hands_out(range.last));
        assert!(range.network.contains(&range.first) && range.network.contains(&range.last), "{range:?}");
    }
});

fn said(sentence: &str) {
    assert!(!sentence.is_empty() && sentence.len() <= SENTENCE, "{} bytes: {sentence}", sentence.len());
}

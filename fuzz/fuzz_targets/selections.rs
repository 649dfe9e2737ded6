//! What stands on pods and what clusters declare: in the first line the annotation of a pod, in the rest a selector. Each
//! meta-plugin reads the one and adds the other to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rook_multihome::network::provider::{ALL, MetaPlugin, multus};
use rook_multihome::network::{NetworkSelection, Provider};

const NAMESPACE: &str = "ns";

fuzz_target!(|text: &str| {
    let (existing, selector) = text.split_once('\n').unwrap_or((text, text));
    let selected = NetworkSelection::from_selector(selector, NAMESPACE).ok().flatten();
    if let Some(selected) = &selected {
        let again = NetworkSelection::from_selector(selected.as_json(), "elsewhere");
        assert_eq!(again.as_ref(), Ok(&Some(selected.clone())), "what is written says all of it");
        _ = multus::unsupported_as_default(selected);
        let default = multus::write_default_network(selected);
        assert_eq!(multus::read_default_network(&default, "elsewhere").as_ref(), Ok(selected));
    }
    _ = multus::read_default_network(existing, NAMESPACE);
    _ = Provider::named(selector);
    for plugin in ALL {
        merge(plugin, existing, selected.as_ref());
    }
});

fn merge(plugin: &'static dyn MetaPlugin, existing: &str, selected: Option<&NetworkSelection>) {
    let Ok(standing) = plugin.read(existing, NAMESPACE) else {
        assert!(plugin.write(existing, NAMESPACE, &[]).is_err(), "what cannot be read is not written");
        return;
    };
    let names = plugin.interface_names(&standing.iter().collect::<Vec<_>>());
    assert_eq!(names.len(), standing.len());
    // Nobody writes a list without something to add to it.
    let Some(selected) = selected else { return };
    let obstacle = plugin.obstacle(&standing, &[selected], NAMESPACE);
    let written = plugin.write(existing, NAMESPACE, &[selected]).expect("what is read can be written");
    if obstacle.is_some() {
        return;
    }
    let read = plugin.read(&written, NAMESPACE).expect("what is written can be read");
    assert_eq!(read.len(), standing.len() + 1, "{written}");
    for (before, after) in standing.iter().zip(&read) {
        assert_eq!(before, after, "what stood there stays: {written}");
    }
    let names = plugin.interface_names(&read.iter().collect::<Vec<_>>());
    let (last, name) = (&read[standing.len()], names.last());
    assert!(selected.is_met_by(last, name.map(String::as_str)), "{selected:?} became {last:?}");
    let again = plugin.write(&written, NAMESPACE, &[]).expect("what is written can be read");
    assert_eq!(plugin.read(&again, NAMESPACE), Ok(read), "and so on");
}

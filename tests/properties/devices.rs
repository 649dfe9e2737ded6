//! Devices beside k8snetworkplumbingwg/network-resources-injector, which fills in the same requests: one after the other, in either
//! order.

use rook_multihome::network::NETWORKS_ANNOTATION;
use rook_multihome::network::selection::read_annotation;
use rook_multihome::world::{DeviceResources, Settings, Snapshot};
use serde_json::{Value, json};

use super::{NAMESPACE, answer, resource_of, snapshot};

/// The resource of both networks of the cluster here.
const RESOURCE: &str = "intel.com/sriov";

/// What the injector does about a resource that a container requests already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Injector {
    /// Nothing, which is its default.
    Skips,
    /// It adds to it, under its flag `-honor-resources`.
    Honors,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    OursFirst,
    OursLast,
}

/// What the injector makes of a pod, after its README and its `MutateHandler`: for every network in the pod's annotation one more of
/// its definition's resource, in requests and limits of the first container.
fn inject(pod: &mut Value, injector: Injector) {
    let networks = pod["metadata"]["annotations"][NETWORKS_ANNOTATION].as_str().unwrap_or_default();
    let networks = read_annotation(networks, NAMESPACE).unwrap();
    let count = networks.iter().filter(|network| resource_of(&network.attachment.name) == Some(RESOURCE)).count();
    let requested = |container: &Value, list: &str| container["resources"][list].get(RESOURCE).cloned();
    let containers = pod["spec"]["containers"].as_array_mut().unwrap();
    let named = containers.iter().any(|one| ["requests", "limits"].iter().any(|list| requested(one, list).is_some()));
    if count == 0 || (named && injector == Injector::Skips) {
        return;
    }
    for list in ["requests", "limits"] {
        let before = requested(&containers[0], list).map_or(0, |quantity| quantity.as_str().unwrap().parse().unwrap());
        containers[0]["resources"][list][RESOURCE] = (before + count).to_string().into();
    }
}

fn ours(pod: &mut Value, snapshot: &Snapshot) {
    if let Some(patched) = answer(snapshot, pod) {
        *pod = patched;
    }
}

/// How many devices the pod requests, by requests and by limits alike.
fn total(pod: &Value) -> usize {
    let of = |list: &str| -> usize {
        let containers = pod["spec"]["containers"].as_array().unwrap().iter();
        containers.filter_map(|one| one["resources"][list][RESOURCE].as_str()?.parse::<usize>().ok()).sum()
    };
    assert_eq!(of("requests"), of("limits"), "{pod}");
    of("requests")
}

/// A pod of an OSD, which needs two networks and a device for each.
fn osd(annotation: Option<&str>, second_requests: bool) -> Value {
    let second =
        if second_requests { json!({"requests": {RESOURCE: "1"}, "limits": {RESOURCE: "1"}}) } else { json!({}) };
    json!({
        "metadata": {"labels": {"app": "rook-ceph-osd"}, "annotations": {NETWORKS_ANNOTATION: annotation}},
        "spec": {"containers": [{"name": "osd", "resources": {"requests": {"cpu": "1"}}}, {"name": "log", "resources": second}]},
    })
}

#[test]
fn together_with_the_injector_in_either_order() {
    const BOTH: &str =
        r#"[{"name":"cluster-net","namespace":"rook-ceph"},{"name":"third-net","namespace":"rook-ceph"}]"#;
    use DeviceResources::{Add, Skip};
    use Injector::{Honors, Skips};
    use Order::{OursFirst, OursLast};
    let network = json!({"provider": "multus", "selectors": {"public": "third-net", "cluster": "cluster-net"}});
    for (annotation, second_requests, mode, order, injector, expected) in [
        // Nothing is there: what is asked last finds it all done.
        (None, false, Add, OursFirst, Skips, 2),
        (None, false, Skip, OursFirst, Skips, 2),
        (None, false, Add, OursLast, Skips, 2),
        (None, false, Skip, OursLast, Skips, 2),
        (None, false, Add, OursLast, Honors, 2),
        (None, false, Skip, OursLast, Honors, 2),
        // Rook wrote all networks.
        (Some(BOTH), false, Add, OursFirst, Skips, 2),
        (Some(BOTH), false, Skip, OursFirst, Skips, 2),
        (Some(BOTH), false, Add, OursLast, Skips, 2),
        (Some(BOTH), false, Skip, OursLast, Skips, 2),
        (Some(BOTH), false, Add, OursLast, Honors, 2),
        (Some(BOTH), false, Skip, OursLast, Honors, 2),
        // Only one of them is there when the injector counts: then only `add` sees to the second.
        (Some("cluster-net"), false, Add, OursFirst, Skips, 2),
        (Some("cluster-net"), false, Skip, OursFirst, Skips, 2),
        (Some("cluster-net"), false, Add, OursLast, Skips, 2),
        (Some("cluster-net"), false, Skip, OursLast, Skips, 1),
        // Another container requests one: the injector leaves it at that, and so does `skip`.
        (Some(BOTH), true, Add, OursFirst, Skips, 2),
        (Some(BOTH), true, Skip, OursFirst, Skips, 1),
        (Some(BOTH), true, Add, OursLast, Skips, 2),
        (Some(BOTH), true, Skip, OursLast, Skips, 1),
        // It adds on top of what is there when it comes last: docs/decisions.md says to switch ours off then.
        (None, false, Add, OursFirst, Honors, 4),
        (None, false, Skip, OursFirst, Honors, 4),
        (Some(BOTH), false, Add, OursFirst, Honors, 4),
        (Some(BOTH), true, Add, OursFirst, Honors, 4),
        (None, false, DeviceResources::Off, OursFirst, Honors, 2),
        (None, false, DeviceResources::Off, OursFirst, Skips, 2),
    ] {
        let settings = Settings { device_resources: mode, ..Settings::default() };
        let attachments = [("rook-ceph", "cluster-net"), ("rook-ceph", "third-net")];
        let snapshot = snapshot(&network, &attachments, settings);
        let mut pod = osd(annotation, second_requests);
        match order {
            Order::OursFirst => {
                ours(&mut pod, &snapshot);
                inject(&mut pod, injector);
            }
            Order::OursLast => {
                inject(&mut pod, injector);
                ours(&mut pod, &snapshot);
            }
        }
        let what = format!("{annotation:?}, {second_requests}, {mode:?}, {order:?}, {injector:?}");
        assert_eq!(total(&pod), expected, "{what}: {pod}");
        assert_eq!(answer(&snapshot, &pod), None, "{what}: a second decision changes nothing");
    }
}

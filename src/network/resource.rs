//! The resource that an attachment definition names, of which every attachment needs a device.
//!
//! The kubelet takes devices only of an extended resource (`IsExtendedResourceName` in Kubernetes' `pkg/apis/core/helper`, which
//! its device manager asks), and the API server refuses a pod that requests anything else with a domain. What has none may be
//! something quite different: `cpu` would be a whole core. So a name that is no such resource must never reach a pod.

use thiserror::Error;

use super::foreign::shorten;

/// What stands before the name of a resource in a quota. It counts for the length of the domain.
const IN_QUOTAS: &str = "requests.";
/// The domain of Kubernetes itself.
const OF_KUBERNETES: &str = "kubernetes.io/";
/// The most bytes of a domain, that of a quota with it, and of what comes after the slash.
const LONGEST_DOMAIN: usize = 253;
const LONGEST_NAME: usize = 63;

/// A name that stands for no resource that a pod could have a device of, as a sentence without its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{}\" is no resource that has devices: {problem}", written.escape_debug())]
pub struct ResourceFault {
    /// What stands there, shortened.
    pub written: Box<str>,
    /// What is wrong with it.
    pub problem: ResourceProblem,
}

/// What is wrong with the name of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResourceProblem {
    /// Without a domain it would be one of Kubernetes' own.
    #[error("it has no domain")]
    NoDomain,
    /// It is one of Kubernetes' own.
    #[error("kubernetes.io is the domain of Kubernetes itself")]
    Native,
    /// It is what quotas call another one.
    #[error("none begins with {IN_QUOTAS}")]
    Quota,
    /// The domain is none.
    #[error("what stands before the slash is no domain in lower case of at most 244 characters")]
    Domain,
    /// What comes after the domain is no name.
    #[error(
        "after the slash, only letters and digits may stand, with -, _ and . between them, and no more than {LONGEST_NAME}"
    )]
    Name,
}

impl ResourceFault {
    /// What to do about it, as a clause.
    pub const MEND: &str = "name the resource of the device plugin there, such as openshift.io/storage";

    /// What keeps `written` from being the name of a resource that has devices.
    pub(super) fn of(written: &str) -> Option<Self> {
        let problem = problem(written)?;
        Some(Self { written: shorten(written).into(), problem })
    }
}

fn problem(name: &str) -> Option<ResourceProblem> {
    let Some((domain, rest)) = name.split_once('/') else { return Some(ResourceProblem::NoDomain) };
    if name.contains(OF_KUBERNETES) {
        return Some(ResourceProblem::Native);
    }
    if name.starts_with(IN_QUOTAS) {
        return Some(ResourceProblem::Quota);
    }
    if !domain.split('.').all(is_label) || IN_QUOTAS.len() + domain.len() > LONGEST_DOMAIN {
        return Some(ResourceProblem::Domain);
    }
    (!is_name(rest)).then_some(ResourceProblem::Name)
}

/// A part of a domain (`IsDNS1123Subdomain`, which counts the characters of the whole alone).
fn is_label(label: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.bytes().all(is_inside) && !label.starts_with('-') && !label.ends_with('-')
}

/// The part after the domain (`IsQualifiedName`).
fn is_name(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_end = |end: Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= LONGEST_NAME && name.bytes().all(is_inside) && is_end(bytes.first()) && is_end(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extended_resources_have_devices() {
        let (longest, longer) = (format!("{}/x", "a".repeat(244)), format!("{}/x", "a".repeat(245)));
        let (long_name, longer_name) = (format!("a.io/{}", "x".repeat(63)), format!("a.io/{}", "x".repeat(64)));
        for valid in ["openshift.io/storage", "a/b", "vendor-1.com/SR-IOV_net.1", "0.io/0", &longest, &long_name] {
            assert_eq!(problem(valid), None, "{valid}");
        }
        for (invalid, expected) in [
            ("sriov_storage", ResourceProblem::NoDomain),
            ("cpu", ResourceProblem::NoDomain),
            (" ", ResourceProblem::NoDomain),
            ("hugepages-2Mi", ResourceProblem::NoDomain),
            ("kubernetes.io/cpu", ResourceProblem::Native),
            ("x.kubernetes.io/cpu", ResourceProblem::Native),
            ("requests.openshift.io/storage", ResourceProblem::Quota),
            ("/storage", ResourceProblem::Domain),
            ("OpenShift.io/storage", ResourceProblem::Domain),
            (" openshift.io/storage", ResourceProblem::Domain),
            ("openshift..io/storage", ResourceProblem::Domain),
            ("-a.io/storage", ResourceProblem::Domain),
            ("a_b.io/storage", ResourceProblem::Domain),
            (&longer, ResourceProblem::Domain),
            ("openshift.io/storage\n", ResourceProblem::Name),
            ("openshift.io/-storage", ResourceProblem::Name),
            ("openshift.io/storage.", ResourceProblem::Name),
            ("openshift.io/", ResourceProblem::Name),
            ("openshift.io/a/b", ResourceProblem::Name),
            ("openshift.io/é", ResourceProblem::Name),
            (&longer_name, ResourceProblem::Name),
        ] {
            assert_eq!(problem(invalid), Some(expected), "{invalid:?}");
        }
    }

    #[test]
    fn what_stands_there_is_told_in_one_line_of_some_length() {
        let fault = ResourceFault::of("openshift.io/storage\n").unwrap().to_string();
        assert!(
            fault.starts_with(r#""openshift.io/storage\n" is no resource that has devices: after the slash"#),
            "{fault}"
        );
        assert!(ResourceFault::of(&"x".repeat(100_000)).unwrap().to_string().len() < 300);
        assert_eq!(ResourceFault::of("openshift.io/storage"), None);
    }
}

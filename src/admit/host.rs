//! The host network: whether a pod may be put on it.

use super::decide::{OwnedRole, Owner};
use super::decision::{EffectiveProvider, ProviderSource, Verdict};
use super::pod::PodView;
use super::reason::Reason;
use crate::network::provider;
use crate::world::Declarer;

/// The host network, unless the pod has it, or was rendered for the pod network: daemons are given arguments that only fit the
/// network they were rendered for.
pub(super) fn host_network<'s>(
    declarer: Declarer<'s>,
    owner: Option<Owner<'s>>,
    effective: &EffectiveProvider<'s>,
    pod: &PodView<'_>,
) -> Result<Verdict<'s>, Reason<'s>> {
    if pod.is_on_host_network() {
        return Err(Reason::Agrees);
    }
    let asked_by = || match &effective.source {
        ProviderSource::Declarer(_) | ProviderSource::Role(_) => declarer.to_string(),
        ProviderSource::Enforced | ProviderSource::Override(_) => effective.source.to_string(),
    };
    let spec = pod.spec.as_ref().ok_or(Reason::NoPod)?;
    let containers = spec.containers().map_err(|_| Reason::UnreadableContainers)?;
    let sign = names_networks(pod).or_else(|| match owner?.role {
        OwnedRole::Known(role) => role.evidence_against_host(pod, &containers.arguments()),
        OwnedRole::Declared(_) => None,
    });
    if let Some(sign) = sign {
        return Err(Reason::RenderedForPodNetwork { asked_by: asked_by(), sign });
    }
    match spec.obstacle_to_host(&containers).map_err(|_| Reason::UnreadableContainers)? {
        Some(obstacle) => Err(Reason::UnfitForHost { asked_by: asked_by(), obstacle }),
        None => Ok(Verdict::UseHostNetwork),
    }
}

/// The annotation by which a pod names networks of its own, where it does: nothing is attached on the host network, so it would
/// lose them.
fn names_networks(pod: &PodView<'_>) -> Option<String> {
    provider::ALL.iter().find_map(|plugin| {
        let value = pod.annotation(plugin.annotation()).filter(|value| !value.is_empty())?;
        // Which namespace a name without one means does not matter for whether there is any.
        let names_any = plugin.read(value, "default").map_or(true, |own| !own.is_empty());
        names_any.then(|| format!("the annotation {}", plugin.annotation()))
    })
}

//! `explain`: what is done with a pod and why, step by step.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::input::{self, InputArgs, Subject};
use super::{ManifestArgs, print};
use crate::admit::{decide, explain, patch};
use crate::wire::Review;
use crate::world::Snapshot;

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
    #[command(flatten)]
    input: InputArgs,
    /// For whom to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For machines: one list of pods with their steps
    Json,
}

/// One pod, decided about.
struct Explanation {
    label: String,
    steps: Vec<explain::Step>,
    /// What becomes of the pod, in a few words.
    summary: String,
    machine: Value,
}

impl ExplainArgs {
    /// Prints the steps for every pod in the file.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { manifests, input, output } = self;
        let subjects = input.subjects()?;
        let (mut world, _) = manifests.load()?;
        input::add_workloads(&mut world, &subjects);
        let snapshot = world.snapshot();
        let explained = |subject: &Subject| explanation(&snapshot, subject).with_context(|| subject.label.clone());
        let explanations: Vec<Explanation> = subjects.iter().map(explained).collect::<anyhow::Result<_>>()?;
        match output {
            Output::Text => print(&explanations.iter().map(Explanation::text).collect::<Vec<_>>().join("\n")),
            Output::Json => {
                let machine: Vec<Value> = explanations.into_iter().map(|explanation| explanation.machine).collect();
                print(&serde_json::to_string_pretty(&machine)?)
            }
        }
    }
}

fn explanation(snapshot: &Snapshot, subject: &Subject) -> anyhow::Result<Explanation> {
    let body = subject.review.to_string();
    let request = Review::read(body.as_bytes())?;
    let admission = request.admission();
    let decision = decide(snapshot, &admission);
    let steps = admission.pod.map(|pod| explain::steps(&decision, pod)).unwrap_or_default();
    let operations = admission.pod.map(|pod| patch::operations(&decision, pod)).unwrap_or_default();
    let summary = explain::summary(&decision);
    let machine = json!({
        "pod": subject.label,
        "namespace": admission.namespace,
        "cluster": decision.cluster.map(|cluster| cluster.id.to_string()),
        "system": decision.recognised.as_ref().map(|found| found.system),
        "role": decision.recognised.as_ref().map(|found| found.role),
        "mode": decision.mode.mode.name(),
        "provider": decision.provider.as_ref().map(|provider| provider.provider.name()),
        "networks": decision.added().map(|selection| selection.attachment.to_string()).collect::<Vec<_>>(),
        "reason": decision.reason().map(crate::admit::Reason::name),
        "allowed": !decision.is_denied(),
        "warnings": admission.pod.map(|pod| explain::warnings(&decision, pod)).unwrap_or_default(),
        "patch": operations,
        "steps": steps,
    });
    let label = if subject.label == crate::wire::KIND {
        let name = admission.pod.map(crate::admit::PodView::display_name).unwrap_or_default();
        format!("Pod {}/{name}", admission.namespace)
    } else {
        subject.label.clone()
    };
    Ok(Explanation { label, steps, summary, machine })
}

impl Explanation {
    fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.label, self.summary);
        for explain::Step { about, found, because } in &self.steps {
            let because = because.as_ref().map(|because| format!(" ({because})")).unwrap_or_default();
            text.push_str(&format!("  {about:<9} {found}{because}\n"));
        }
        text
    }
}

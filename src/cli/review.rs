//! `review`: the webhook's answer, without a webhook.

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::input::{self, InputArgs, Subject};
use super::{ManifestArgs, hint, print};
use crate::admit::{decide, explain, patch};
use crate::wire::{self, Review};
use crate::world::Snapshot;

/// Flags of `review`.
#[derive(Debug, Args)]
pub(super) struct ReviewArgs {
    #[command(flatten)]
    manifests: ManifestArgs,
    #[command(flatten)]
    input: InputArgs,
    /// What to print
    #[arg(long, short, value_enum, default_value = "response")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// The AdmissionReview that the webhook would answer
    Response,
    /// The JSON Patch alone
    Patch,
    /// The pod with the patch applied
    Patched,
    /// The AdmissionReview that the webhook would be asked
    Request,
}

impl ReviewArgs {
    /// Prints one document a pod. That a pod is left alone or refused is an answer too, and no error.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { manifests, input, output } = self;
        let subjects = input.subjects()?;
        let (mut world, _) = manifests.load()?;
        input::add_workloads(&mut world, &subjects);
        let snapshot = world.snapshot();
        for subject in subjects {
            let printed = answer(&snapshot, &subject, output).with_context(|| subject.label.clone())?;
            print(&serde_json::to_string_pretty(&printed)?)?;
        }
        Ok(())
    }
}

fn answer(snapshot: &Snapshot, subject: &Subject, output: Output) -> anyhow::Result<Value> {
    if output == Output::Request {
        return Ok(subject.review.clone());
    }
    let body = subject.review.to_string();
    let request = Review::read(body.as_bytes())?;
    let admission = request.admission();
    let decision = decide(snapshot, &admission);
    let operations = admission.pod.map(|pod| patch::operations(&decision, pod)).unwrap_or_default();
    if output != Output::Response {
        let warnings = admission.pod.map(|pod| explain::warnings(&decision, pod)).unwrap_or_default();
        for told in warnings.iter().map(|warning| format!("warning: {warning}")).chain(explain::refusal(&decision)) {
            hint(&told);
        }
    }
    // What a user is shown must be what the API server could apply.
    let mut patched = subject.review.pointer("/request/object").cloned().unwrap_or_default();
    json_patch::patch(&mut patched, &operations)
        .map_err(|error| anyhow!("the patch does not apply, which is a bug: {error}"))?;
    Ok(match output {
        Output::Response => serde_json::to_value(wire::answer(request.uid(), &decision, admission.pod))?,
        Output::Patch => serde_json::to_value(operations)?,
        Output::Patched => patched,
        Output::Request => subject.review.clone(),
    })
}

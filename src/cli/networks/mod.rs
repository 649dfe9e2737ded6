//! `networks`: which attachment definitions storage uses, for what, and which address ranges clusters could declare.
//!
//! Nothing is judged here; `lint` does that.

mod json;
mod ranges;
mod table;
mod view;

use clap::{Args, ValueEnum};

use self::view::View;
use super::state::StateArgs;
use super::words::count;
use super::{hint, print};
use crate::lint::networks::{Which, networks, offers};
use crate::network::attachment;
use crate::world::ObjectName;
use crate::world::manifests::Problem;

/// Flags of `networks`.
#[derive(Debug, Args)]
pub(super) struct NetworksArgs {
    #[command(flatten)]
    state: StateArgs,
    /// List attachment definitions that no storage uses too
    #[arg(long, conflicts_with = "address_ranges")]
    all: bool,
    /// Print what to add to clusters that declare no address ranges and could, so that Rook need not look for them: one YAML
    /// document a cluster, for kubectl patch
    #[arg(long, conflicts_with = "output")]
    address_ranges: bool,
    /// For whom to print
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For machines: one list of attachment definitions
    Json,
}

impl NetworksArgs {
    /// Prints the list. That it is empty is an answer too, and no error.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { state, all, address_ranges, output } = self;
        let state = state.load()?;
        state.gaps().for_each(|gap| hint(&gap));
        let listed = networks(&state.snapshot, if all { Which::All } else { Which::Used });
        // What is wrong with a definition stands in the list.
        let is_listed = |problem: &&Problem| {
            let is_definition = problem.group == attachment::GROUP && !address_ranges;
            let Problem { id: ObjectName { namespace, name }, .. } = problem;
            is_definition
                && listed.iter().any(|listed| *listed.name.namespace == **namespace && *listed.name.name == **name)
        };
        for problem in state.report.problems.iter().filter(|problem| !is_listed(problem)) {
            hint(&format!("warning: {problem}"));
        }
        let objects = count(state.object_count(), "object", "objects");
        if address_ranges {
            let offers = offers(&state.snapshot);
            if offers.is_empty() {
                hint(&format!("no cluster could declare address ranges that it does not declare, in {objects}"));
                return Ok(());
            }
            return print(&ranges::render(&offers)?);
        }
        let views: Vec<View> = listed.iter().map(View::of).collect();
        if views.is_empty() {
            let hint_at_all =
                if all { "there is no attachment definition" } else { "no storage uses an attachment definition" };
            hint(&format!("{hint_at_all}, in {objects}"));
        }
        match output {
            Output::Table if views.is_empty() => Ok(()),
            Output::Table => print(&table::render(&views)),
            Output::Json => print(&json::render(&views)?),
        }
    }
}

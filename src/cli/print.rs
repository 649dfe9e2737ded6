//! `print`: what other tools need to know about this program, such as the definition of its resource.

use clap::{Args, ValueEnum};

use super::print;
use crate::api::{self, Cel};

/// Flags of `print`.
#[derive(Debug, Args)]
pub(super) struct PrintArgs {
    /// What to print
    #[arg(value_enum)]
    what: What,
    /// Leave out the rules in CEL, which API servers know since Kubernetes 1.25
    #[arg(long)]
    without_cel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The CustomResourceDefinition of StorageNetwork, for kubectl apply
    Crd,
}

impl PrintArgs {
    /// Prints the document.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { what, without_cel } = self;
        let cel = if without_cel { Cel::Without } else { Cel::With };
        match what {
            What::Crd => print(&api::to_yaml(&api::storage_network_crd(cel))?),
        }
    }
}

//! `print`: what other tools need to know about this program, such as the definition of its resource.

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::print;
use crate::api::{self, Cel};
use crate::storage::{BUILT_IN, Catalogue};

/// Flags of `print`.
#[derive(Debug, Args)]
pub(super) struct PrintArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The CustomResourceDefinition of StorageNetwork, for kubectl apply
    Crd {
        /// Leave out the rules in CEL, which API servers know since Kubernetes 1.25
        #[arg(long)]
        without_cel: bool,
    },
    /// The JSON Schema of a file that describes a storage system, for editors and checks
    CatalogueSchema,
    /// The file that describes a built-in storage system, to begin one of your own with
    System {
        /// Which
        #[arg(value_parser = PossibleValuesParser::new(BUILT_IN.map(|(name, _)| name)))]
        name: String,
    },
}

impl PrintArgs {
    /// Prints the document.
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.what {
            What::Crd { without_cel } => {
                let cel = if without_cel { Cel::Without } else { Cel::With };
                print(&api::to_yaml(&api::storage_network_crd(cel))?)
            }
            What::CatalogueSchema => print(&serde_json::to_string_pretty(&Catalogue::schema())?),
            What::System { name } => {
                let found = BUILT_IN.into_iter().find(|(known, _)| *known == name);
                let (_, text) = found.ok_or_else(|| anyhow!("there is no built-in storage system {name}"))?;
                print(text)
            }
        }
    }
}

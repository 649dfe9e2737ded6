//! static: every pod gets the addresses that stand in the definition, and those that it asks for itself.
//!
//! Read from containernetworking/plugins `plugins/ipam/static/main.go`. A definition without addresses is the usual way to
//! let pods ask, and no fault; whether a pod does ask is not known here.

use super::read::Reader;
use super::{Context, Ipam, Source};
use crate::network::cidr;
use crate::network::fields::Object;

pub(super) fn read(ipam: &Object, context: Context<'_>) -> Ipam {
    let mut reader = Reader::default();
    reader.routes(ipam);
    reader.fixed_addresses(ipam, cidr::parse_cidr);
    reader.one_of_each_family(context.version);
    reader.unreachable_gateways(context.kind);
    reader.finish(Source::Static)
}

//! What is wrong with the part of a definition that says where addresses come from.
//!
//! None of it keeps Multus from loading the definition, so none of it may make the definition an error here: a fault is data
//! beside what could be read. Whether attachments fail by it or go on in an unexpected way is its [`Effect`].

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use thiserror::Error;

use crate::network::cidr;
use crate::network::fields::Mistyped;
use crate::network::foreign::shorten;

/// What comes of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// No pod can be attached: the plugin refuses the configuration every time.
    Fails,
    /// Pods are attached, and not in the way that the configuration seems to say.
    Surprises,
}

/// One fault, as a sentence without its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct IpamFault {
    /// What comes of it.
    pub effect: Effect,
    /// What is wrong.
    pub problem: IpamProblem,
}

/// What is wrong with the source of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IpamProblem {
    /// A field has a type that the plugin cannot read.
    #[error("{field} must be {expected}")]
    FieldType {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A text is no range.
    #[error("{field} is \"{text}\", which is no address with a prefix length")]
    NotACidr {
        /// The field.
        field: &'static str,
        /// What stands there.
        text: Box<str>,
    },
    /// A text is no address.
    #[error("{field} is \"{text}\", which is no address")]
    NotAnAddress {
        /// The field.
        field: &'static str,
        /// What stands there.
        text: Box<str>,
    },
    /// White space in a range of the form `first-last/length`.
    #[error("the range \"{0}\" has spaces, which whereabouts does not remove")]
    Spaces(Box<str>),
    /// Numbers with leading zeros, which other programs refuse.
    #[error("{field} is \"{text}\": whereabouts reads the numbers with leading zeros as decimal ones")]
    LeadingZeros {
        /// The field.
        field: &'static str,
        /// What stands there.
        text: Box<str>,
    },
    /// An address inside a range stands where the range is meant.
    #[error("{cidr} is an address inside the range {}", cidr.trunc())]
    HostBits {
        /// What stands there.
        cidr: IpNet,
    },
    /// A range has no address to hand out.
    #[error("the range {network} is too small: no address of it can be handed out")]
    TooSmall {
        /// The range.
        network: IpNet,
    },
    /// Everything that could be handed out is excluded.
    #[error("every address of {network} that could be handed out is excluded")]
    NothingLeft {
        /// The range.
        network: IpNet,
    },
    /// A bound of a range lies elsewhere.
    #[error("{field} {address} cannot be a bound of what is handed out of {network}")]
    Bound {
        /// The field.
        field: &'static str,
        /// The bound.
        address: IpAddr,
        /// The range.
        network: IpNet,
        /// The first and the last address that could be.
        possible: (IpAddr, IpAddr),
    },
    /// The last address comes before the first.
    #[error("the range ends at {last}, before it begins at {first}")]
    Reversed {
        /// The first address.
        first: IpAddr,
        /// The last address.
        last: IpAddr,
        /// The last one that could be.
        most: IpAddr,
    },
    /// `ranges` of host-local is a list of ranges.
    #[error("ranges is a list of ranges; host-local wants a list of lists, of each of which a pod gets one address")]
    FlatRanges,
    /// A list of ranges without any.
    #[error("ranges has an empty list in it")]
    EmptySet,
    /// Nothing says what to hand out.
    #[error("no range is given to hand addresses out of")]
    NoRange,
    /// A range that only other plugins know.
    #[error("host-local has no field range; it hands addresses out of subnet, or of ranges")]
    ForeignRange,
    /// Ranges of which a pod gets one address are of both families.
    #[error("{0} and {1} are of different families, and a pod gets one address of either")]
    MixedFamilies(IpNet, IpNet),
    /// The same addresses twice.
    #[error("the ranges {0} and {1} have addresses in common")]
    Overlap(IpNet, IpNet),
    /// More than one address of a family in a version of the specification that knows only one.
    #[error("version {0} of the CNI specification knows only one address of each family, and a pod would get more")]
    OldVersion(Box<str>),
    /// An exclusion that excludes nothing.
    #[error("{0} is excluded, and no address of it could be handed out anyway")]
    Useless(IpNet),
    /// The gateway lies in no range.
    #[error("the gateway {gateway} lies outside of {network}")]
    GatewayOutside {
        /// The gateway.
        gateway: IpAddr,
        /// The range.
        network: IpNet,
    },
    /// The gateway may be handed out.
    #[error("the gateway {0} is among the addresses that are handed out, and a pod will get it")]
    GatewayHandedOut(IpAddr),
    /// The address of the network itself, which hosts do not have.
    #[error("{0} is the address of the network itself")]
    NetworkAddress(IpNet),
    /// The definition gives every pod one and the same address.
    #[error("every pod is given the address {0}, so that only one pod at a time can have it")]
    SameForAll(IpAddr),
    /// Two pods on two nodes may have the same address.
    #[error("host-local keeps account on each node alone: pods on different nodes are given the same addresses")]
    PerNode,
    /// A route that leads nowhere.
    #[error("a route has no dst")]
    NowhereRoute,
    /// A route over an address that the interface does not reach, which Linux refuses.
    #[error("the route to {to} leads over {via}, which lies in no network that pods have an address of")]
    UnreachableGateway {
        /// Where the route leads.
        to: IpNet,
        /// Over which address.
        via: Ipv4Addr,
    },
    /// OVN-Kubernetes refuses another plugin for addresses.
    #[error("ipam.type is given, and OVN-Kubernetes hands out addresses itself")]
    IpamBesideOvn,
    /// OVN-Kubernetes makes no such network.
    #[error("the topology \"{0}\" is none that OVN-Kubernetes has")]
    Topology(Box<str>),
    /// A field that has no meaning in a network of this form.
    #[error("{field} is given, and only a network of the topology layer2 may have it")]
    OnlyLayer2 {
        /// The field.
        field: &'static str,
    },
    /// The name of the definition inside it is another.
    #[error("netAttachDefName is \"{written}\", and the definition is {expected}")]
    DefinitionName {
        /// What stands there; empty where nothing does.
        written: Box<str>,
        /// What OVN-Kubernetes wants.
        expected: Box<str>,
    },
    /// OVN-Kubernetes works alone.
    #[error("OVN-Kubernetes is one of several plugins, and refuses to be")]
    Chained,
    /// A node's share of a range is not smaller than the range, or has a size that is not possible.
    #[error("a node's share of {network} cannot have the prefix length {length}")]
    Share {
        /// The range.
        network: IpNet,
        /// The prefix length of the share.
        length: u8,
        /// The least and the largest that it could have, where there is any.
        possible: Option<(u8, u8)>,
    },
    /// A list is longer than anybody looks.
    #[error("{field} has more than {most} entries, and the others were not looked at")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many were looked at.
        most: usize,
    },
}

/// The field of a fixed address.
pub(super) const ADDRESS: &str = "address";

impl IpamFault {
    pub(super) fn fails(problem: IpamProblem) -> Self {
        Self { effect: Effect::Fails, problem }
    }

    pub(super) fn surprises(problem: IpamProblem) -> Self {
        Self { effect: Effect::Surprises, problem }
    }

    pub(super) fn not_a_cidr(field: &'static str, text: &str) -> Self {
        Self::fails(IpamProblem::NotACidr { field, text: shorten(text).into() })
    }

    pub(super) fn not_an_address(field: &'static str, text: &str) -> Self {
        Self::fails(IpamProblem::NotAnAddress { field, text: shorten(text).into() })
    }

    /// What to do about it, as a clause.
    #[must_use]
    pub fn mend(&self) -> String {
        match &self.problem {
            IpamProblem::FieldType { expected, .. } => format!("write {expected}"),
            IpamProblem::NotACidr { field: ADDRESS, text } => with_length(text),
            IpamProblem::NotACidr { .. } => "write it as 192.168.0.0/24 or fd00::/64".to_owned(),
            IpamProblem::NotAnAddress { .. } => "write it as 192.168.0.1 or fd00::1".to_owned(),
            IpamProblem::Spaces(text) => {
                format!("write {}", text.split_whitespace().collect::<String>())
            }
            IpamProblem::LeadingZeros { .. } => "leave the leading zeros out".to_owned(),
            IpamProblem::HostBits { cidr } => format!("write {}", cidr.trunc()),
            IpamProblem::TooSmall { .. } => "choose a shorter prefix length".to_owned(),
            IpamProblem::NothingLeft { .. } => "exclude less".to_owned(),
            IpamProblem::Bound { possible: (first, last), .. } if first == last => format!("write {first}"),
            IpamProblem::Bound { possible: (first, last), .. } => format!("choose an address from {first} to {last}"),
            IpamProblem::Reversed { first, most, .. } => {
                format!("exchange the two, or choose an end from {first} to {most}")
            }
            IpamProblem::FlatRanges => "put each range into a list of its own: [[{\"subnet\": ...}]]".to_owned(),
            IpamProblem::EmptySet | IpamProblem::OnlyLayer2 { .. } => "remove it".to_owned(),
            IpamProblem::NoRange => "give a range".to_owned(),
            IpamProblem::ForeignRange => "call it subnet".to_owned(),
            IpamProblem::MixedFamilies(..) => "put them into two lists: a pod then gets one address of each".to_owned(),
            IpamProblem::Overlap(..) => "choose ranges that are apart".to_owned(),
            IpamProblem::OldVersion(_) => "write cniVersion 0.3.1 or later".to_owned(),
            IpamProblem::Useless(_) => "remove it, or mend it".to_owned(),
            IpamProblem::GatewayOutside { network, .. } => {
                format!("choose an address from {} to {}", cidr::after(network.network(), 1), network.broadcast())
            }
            IpamProblem::GatewayHandedOut(gateway) => format!("exclude {gateway}"),
            IpamProblem::NetworkAddress(_) => "choose another address".to_owned(),
            IpamProblem::SameForAll(_) => {
                "remove it, and let each pod ask for its own, or use a plugin that hands out different ones".to_owned()
            }
            IpamProblem::PerNode => {
                "use a plugin that keeps account for the whole cluster, such as whereabouts".to_owned()
            }
            IpamProblem::NowhereRoute => "give dst, such as 192.168.0.0/24".to_owned(),
            IpamProblem::UnreachableGateway { .. } => {
                "name a gateway in the network of the pods, or leave gw out".to_owned()
            }
            IpamProblem::IpamBesideOvn => "remove ipam, and give subnets beside type".to_owned(),
            IpamProblem::Topology(_) => "write layer2, layer3 or localnet".to_owned(),
            IpamProblem::DefinitionName { expected, .. } => format!("write {expected}"),
            IpamProblem::Chained => "leave it as the only plugin".to_owned(),
            IpamProblem::TooMany { .. } => "give fewer, larger ranges".to_owned(),
            IpamProblem::Share { possible: None, .. } => "choose a larger range".to_owned(),
            IpamProblem::Share { possible: Some((least, most)), .. } if least == most => format!("write /{least}"),
            IpamProblem::Share { possible: Some((least, most)), .. } => {
                format!("choose a length from /{least} to /{most}")
            }
        }
    }
}

/// An address that stands alone, with a prefix length as networks often have it; or an example of both. That of a network itself
/// would be the next fault.
fn with_length(text: &str) -> String {
    let address = text.split('/').next().and_then(cidr::parse_address_sloppily);
    let length = |address: IpAddr| if address.is_ipv4() { 24 } else { 64 };
    let written = address.and_then(|address| IpNet::new(address, length(address)).ok()).filter(cidr::has_host_bits);
    match written {
        Some(written) => format!("write {written}, with the prefix length of its network"),
        None => "write it as 192.168.0.5/24 or fd00::5/64".to_owned(),
    }
}

impl From<Mistyped> for IpamFault {
    fn from(Mistyped { field, expected }: Mistyped) -> Self {
        Self::fails(IpamProblem::FieldType { field, expected })
    }
}
